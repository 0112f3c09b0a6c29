(** * Networks: forward pass, tangents and backpropagation of typed multilayer perceptrons

    The model that all statements about training share.  A network with input width [m] and layers
    of widths [ws] has a weight matrix and a bias for every layer; the types make sure that they
    fit.  Layer [l] computes [phi l (W x + b)] entry by entry; a linear readout is a layer whose
    activation is the identity.

    [forward] is what a framework evaluates, [jvp] pushes a change of weights, biases and input
    through all layers by the chain rule, and [vjp] is backpropagation: one backward pass that
    returns the gradient with respect to every weight, every bias and the input.  [jvp] and [vjp]
    take the slopes [dphi] as given; that [jvp] is the derivative of [forward] is a theorem of
    analysis, that [vjp] is its adjoint one of algebra. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Isometer Require Import vectors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

Section Network.
Variable R : comRingType.

(** Weights and biases of layers of widths [ws] on an input of width [m]. *)
Fixpoint params (m : nat) (ws : seq nat) : Type :=
  if ws is k :: ws' then ('M[R]_(k, m) * 'cV[R]_k * params k ws')%type else unit.

(** The entrywise product of two columns. *)
Definition hadamard n (u v : 'cV[R]_n) : 'cV[R]_n := \col_i (u i 0 * v i 0).

(** The pre-activation of a layer. *)
Definition preact m k (W : 'M[R]_(k, m)) (b : 'cV[R]_k) (x : 'cV[R]_m) : 'cV[R]_k := W *m x + b.

(** The output of a network; layer [l] has activation [phi l]. *)
Fixpoint forward (phi : nat -> R -> R) m ws : params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) :=
  if ws is k :: ws' return params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) then
    fun p x => let: (W, b, rest) := p in
      forward (fun l => phi l.+1) rest (map_mx (phi 0%N) (preact W b x))
  else fun _ x => x.

(** The change of the output when the parameters change by [dp] and the input by [dx]. *)
Fixpoint jvp (phi dphi : nat -> R -> R) m ws :
    params m ws -> 'cV[R]_m -> params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) :=
  if ws is k :: ws'
    return params m ws -> 'cV[R]_m -> params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) then
    fun p x dp dx => let: (W, b, rest) := p in let: (dW, db, drest) := dp in
      let h := preact W b x in
      jvp (fun l => phi l.+1) (fun l => dphi l.+1) rest (map_mx (phi 0%N) h) drest
        (hadamard (map_mx (dphi 0%N) h) (dW *m x + W *m dx + db))
  else fun _ _ _ dx => dx.

(** Backpropagation of [v]: the gradients with respect to the parameters and to the input. *)
Fixpoint vjp (phi dphi : nat -> R -> R) m ws :
    params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) -> params m ws * 'cV[R]_m :=
  if ws is k :: ws'
    return params m ws -> 'cV[R]_m -> 'cV[R]_(last m ws) -> params m ws * 'cV[R]_m then
    fun p x v => let: (W, b, rest) := p in
      let h := preact W b x in
      let: (gp, g) := vjp (fun l => phi l.+1) (fun l => dphi l.+1) rest (map_mx (phi 0%N) h) v in
      let d := hadamard (map_mx (dphi 0%N) h) g in
      ((d *m x^T, d, gp), W^T *m d)
  else fun _ _ v => (tt, v).

(** The inner product of two sets of parameters: the sum over all their entries. *)
Fixpoint params_dot m ws : params m ws -> params m ws -> R :=
  if ws is k :: ws' return params m ws -> params m ws -> R then
    fun p q => let: (W, b, rest) := p in let: (V, c, rest') := q in
      \sum_i \sum_j W i j * V i j + dot b c + params_dot rest rest'
  else fun _ _ => 0.

(** No change of any parameter. *)
Fixpoint params_zero m ws : params m ws :=
  if ws is k :: ws' return params m ws then (0, 0, params_zero k ws') else tt.

(** Parameters moved by [t] times a direction. *)
Fixpoint params_move (t : R) m ws : params m ws -> params m ws -> params m ws :=
  if ws is k :: ws' return params m ws -> params m ws -> params m ws then
    fun p q => let: (W, b, rest) := p in let: (dW, db, drest) := q in
      (W + t *: dW, b + t *: db, params_move t rest drest)
  else fun _ _ => tt.

(** The Jacobian with respect to the input: the product of [diag (slopes) W] over the layers. *)
Fixpoint jacobian (phi dphi : nat -> R -> R) m ws :
    params m ws -> 'cV[R]_m -> 'M[R]_(last m ws, m) :=
  if ws is k :: ws' return params m ws -> 'cV[R]_m -> 'M[R]_(last m ws, m) then
    fun p x => let: (W, b, rest) := p in
      let h := preact W b x in
      jacobian (fun l => phi l.+1) (fun l => dphi l.+1) rest (map_mx (phi 0%N) h)
        *m (diag_mx (map_mx (dphi 0%N) h)^T *m W)
  else fun _ _ => 1%:M.
End Network.
