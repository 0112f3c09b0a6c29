(** * Backpropagation computes the derivative of the loss

    The tangent map of [network.v] is defined by a recursion over layers.  Here it is shown to be
    what it should be: when weights, biases and input move along any differentiable curve, the output
    of the network moves with the velocity that the recursion computes, provided that every activation
    is differentiable at the pre-activation it meets.  Since backpropagation is the adjoint of that
    recursion, one backward pass pairs with every such motion to the derivative of the loss: it is
    the gradient. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import boolp classical_sets reals topology normedtype derive realfun.
From Isometer Require Import vectors network backprop curves.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Derivative.
Variable R : realType.

(** A curve of weights and biases has the velocity [dp] at time [t]. *)
Fixpoint params_velocity (t : R) m ws : (R -> params R m ws) -> params R m ws -> Prop :=
  if ws is k :: ws'
    return (R -> params R m ws) -> params R m ws -> Prop then
    fun p dp =>
      [/\ forall i j, is_derive t 1 (fun s => (p s).1.1 i j) (dp.1.1 i j),
          column_velocity t (fun s => (p s).1.2) dp.1.2 &
          params_velocity t (fun s => (p s).2) dp.2]
  else fun _ _ => True.

(** Each activation has the slope [dphi] at the pre-activations that the network meets on [x]. *)
Fixpoint has_slopes (phi dphi : nat -> R -> R) m ws : params R m ws -> 'cV[R]_m -> Prop :=
  if ws is k :: ws' return params R m ws -> 'cV[R]_m -> Prop then
    fun p x => let: (W, b, rest) := p in
      let h := preact W b x in
      (forall i, is_derive (h i 0) 1 (phi 0%N) (dphi 0%N (h i 0))) /\
      has_slopes (fun l => phi l.+1) (fun l => dphi l.+1) rest (map_mx (phi 0%N) h)
  else fun _ _ => True.

(** The product rule for the pre-activation. *)
Lemma preact_velocity (t : R) m k (W : R -> 'M[R]_(k, m)) (dW : 'M[R]_(k, m))
    (b : R -> 'cV[R]_k) db (x : R -> 'cV[R]_m) dx :
  (forall i j, is_derive t 1 (fun s => W s i j) (dW i j)) ->
  column_velocity t b db -> column_velocity t x dx ->
  column_velocity t (fun s => preact (W s) (b s) (x s)) (dW *m x t + W t *m dx + db).
Proof.
move=> WdW bdb xdx i; rewrite !mxE -big_split /=.
have -> : (fun s => preact (W s) (b s) (x s) i 0) =
          (fun s => \sum_j W s i j * x s j 0 + b s i 0).
  by apply/funext => s; rewrite !mxE.
by apply: is_derive_add => //; apply: is_derive_big => j; apply: is_derive_mul.
Qed.

(** The chain rule for the activation. *)
Lemma activation_velocity (t : R) n (h : R -> 'cV[R]_n) dh (f df : R -> R) :
  (forall i, is_derive (h t i 0) 1 f (df (h t i 0))) -> column_velocity t h dh ->
  column_velocity t (fun s => map_mx f (h s)) (hadamard (map_mx df (h t)) dh).
Proof.
move=> fdf hdh i; rewrite !mxE.
have -> : (fun s => map_mx f (h s) i 0) = f \o (fun s => h s i 0).
  by apply/funext => s; rewrite !mxE.
exact: is_derive1_comp.
Qed.

(** Forward differentiation is differentiation. *)
Theorem jvp_is_derivative (phi dphi : nat -> R -> R) m ws (t : R)
    (p : R -> params R m ws) dp (x : R -> 'cV[R]_m) dx :
  params_velocity t p dp -> column_velocity t x dx -> has_slopes phi dphi (p t) (x t) ->
  column_velocity t (fun s => forward phi (p s) (x s)) (jvp phi dphi (p t) (x t) dp dx).
Proof.
elim: ws m phi dphi p dp x dx => [|k ws IH] m phi dphi //= p [[dW db] drest] x dx.
move=> [/= WdW bdb restd] xdx.
have -> : (fun s => let: (W, b, rest) := p s in
             forward (fun l => phi l.+1) rest (map_mx (phi 0%N) (preact W b (x s)))) =
          (fun s => forward (fun l => phi l.+1) (p s).2
             (map_mx (phi 0%N) (preact (p s).1.1 (p s).1.2 (x s)))).
  by apply/funext => s; case: (p s) => -[].
have := preact_velocity WdW bdb xdx; case pt : (p t) => [[W b] rest] /= hdh [slopes0 slopes].
have := IH _ (fun l => phi l.+1) (fun l => dphi l.+1) _ _ _ _ restd (activation_velocity _ hdh).
by rewrite pt /=; apply.
Qed.

(** Backpropagation returns the gradient: with the gradient [v] of the loss at the output, the
    derivative of the loss along any motion of weights, biases and input is their inner product with
    what the backward pass returns. *)
Theorem backprop_is_gradient (phi dphi : nat -> R -> R) m ws (loss : 'cV[R]_(last m ws) -> R) v (t : R)
    (p : R -> params R m ws) dp (x : R -> 'cV[R]_m) dx :
  params_velocity t p dp -> column_velocity t x dx -> has_slopes phi dphi (p t) (x t) ->
  is_gradient loss (forward phi (p t) (x t)) v ->
  is_derive t 1 (fun s => loss (forward phi (p s) (x s)))
    (params_dot (vjp phi dphi (p t) (x t) v).1 dp + dot (vjp phi dphi (p t) (x t) v).2 dx).
Proof.
move=> pdp xdx slopes grad; rewrite -backprop_is_adjoint.
exact: grad (jvp_is_derivative pdp xdx slopes).
Qed.
End Derivative.
