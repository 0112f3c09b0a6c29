(** * Lipschitz constants: one matrix inequality bounds how far a network can move its output

    The product of the norms of all layers bounds how far outputs can differ for two inputs, but it lets every layer be at its worst in
    the same direction.  A certificate does better: for any choice of a non-negative multiplier for every hidden unit, if
    one matrix built from weights and multipliers is positive semidefinite then [sqrt rho] is a Lipschitz
    constant.  Nothing is assumed of how the multipliers were found.

    The matrix appears as its quadratic form, a sum over layers.  The activation only has to have its difference
    quotients in [[a, b]]: for ReLU, [a = 0] and [b = 1]. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms network.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Lipschitz.
Variable R : rcfType.

(** A column for every hidden layer: multipliers, or a point at which the form is taken. *)
Fixpoint columns (ws : seq nat) : Type := if ws is k :: ws' then ('cV[R]_k * columns ws')%type else unit.

Fixpoint nonneg_columns ws : columns ws -> Prop :=
  if ws is k :: ws' return columns ws -> Prop then
    fun l => (forall i, 0 <= l.1 i 0) /\ nonneg_columns l.2
  else fun _ => True.

(** The column of the last layer, or of the input if there is no layer. *)
Fixpoint last_column m ws : 'cV[R]_m -> columns ws -> 'cV[R]_(last m ws) :=
  if ws is k :: ws' return 'cV[R]_m -> columns ws -> 'cV[R]_(last m ws) then
    fun _ ys => last_column ys.1 ys.2
  else fun y _ => y.

(** The part of the form that belongs to the hidden layers: with [u = W y] and the diagonal matrix [D] of multipliers,
    [a b u^T D u - (a + b) u^T D y' + y'^T D y'] for each. *)
Fixpoint hidden_form (a b : R) m ws : params R m ws -> columns ws -> 'cV[R]_m -> columns ws -> R :=
  if ws is k :: ws' return params R m ws -> columns ws -> 'cV[R]_m -> columns ws -> R then
    fun p l y ys => let: (W, _, rest) := p in let u := W *m y in
      a * b * dot u (hadamard l.1 u) - (a + b) * dot u (hadamard l.1 ys.1) + dot ys.1 (hadamard l.1 ys.1)
      + hidden_form a b rest l.2 ys.1 ys.2
  else fun _ _ _ _ => 0.

(** The matrix of the certificate, for a readout [V], is positive semidefinite. *)
Definition certificate (a b rho : R) m ws (p : params R m ws) (l : columns ws) n (V : 'M[R]_(n, last m ws)) :=
  forall y ys z,
    0 <= normsq y + hidden_form a b p l y ys + 2%:R * dot z (V *m last_column y ys) + rho * normsq z.

(** Difference quotients lie in [[a, b]]. *)
Definition in_sector (a b : R) (f : R -> R) := forall s t,
  0 <= (f s - f t - a * (s - t)) * (b * (s - t) - (f s - f t)).

(** Differences of the activations of all layers for two inputs. *)
Fixpoint differences (phi : nat -> R -> R) m ws : params R m ws -> 'cV[R]_m -> 'cV[R]_m -> columns ws :=
  if ws is k :: ws' return params R m ws -> 'cV[R]_m -> 'cV[R]_m -> columns ws then
    fun p x y => let: (W, b, rest) := p in
      let fx := map_mx (phi 0%N) (preact W b x) in let fy := map_mx (phi 0%N) (preact W b y) in
      (fx - fy, differences (fun l => phi l.+1) rest fx fy)
  else fun _ _ _ => tt.

Lemma last_differences phi m ws (p : params R m ws) x y :
  last_column (x - y) (differences phi p x y) = forward phi p x - forward phi p y.
Proof. by elim: ws m phi p x y => [|k ws IH] m phi //= [[W b] rest] x y; rewrite /= IH. Qed.

Lemma hidden_form_le0 a b phi m ws (p : params R m ws) l (x y : 'cV[R]_m) :
  (forall k, in_sector a b (phi k)) -> nonneg_columns l ->
  hidden_form a b p l (x - y) (differences phi p x y) <= 0.
Proof.
elim: ws m phi p l x y => [|k ws IH] m phi //= [[W c] rest] [l ls] x y sector [l0 ls0] /=.
apply: ler_naddr; first exact: IH (fun k => sector k.+1) ls0.
rewrite /dot !mulr_sumr -sumrB -big_split /= -oppr_ge0 -sumrN; apply: sumr_ge0 => i _.
have uE : (W *m (x - y)) i 0 = preact W c x i 0 - preact W c y i 0.
  by rewrite mulmxBr /preact !mxE opprD addrACA subrr addr0.
move: (W *m (x - y)) (preact W c x) (preact W c y) uE => u g h uE; rewrite !mxE !uE.
have := mulr_ge0 (l0 i) (sector 0%N (g i 0) (h i 0)); congr (0 <= _).
by rewrite /=; ring.
Qed.

(** A positive semidefinite certificate bounds how far outputs can differ. *)
Theorem certificate_bounds_differences a b rho phi m ws (p : params R m ws) l n
    (V : 'M[R]_(n, last m ws)) (x y : 'cV[R]_m) :
  (forall k, in_sector a b (phi k)) -> nonneg_columns l -> 0 < rho -> certificate a b rho p l V ->
  norm (V *m forward phi p x - V *m forward phi p y) <= Num.sqrt rho * norm (x - y).
Proof.
move=> sector l0 rho0 cert; rewrite norm_le ?sqrtr_ge0 // sqr_sqrtr ?(ltW rho0) // -mulmxBr.
have := cert (x - y) (differences phi p x y) (- rho^-1 *: (V *m (forward phi p x - forward phi p y))).
rewrite last_differences dotZl normsqZ -/(normsq _).
have := hidden_form_le0 p x y sector l0; set h := hidden_form _ _ _ _ _ _; set d := normsq (V *m _).
move=> h0 form; have: 0 <= normsq (x - y) - d / rho.
  apply: le_trans form _; rewrite -subr_ge0.
  have -> : normsq (x - y) - d / rho - (normsq (x - y) + h + 2%:R * (- rho^-1 * d) + rho * ((- rho^-1) ^+ 2 * d)) = - h.
    by field; rewrite gt_eqF.
  by rewrite oppr_ge0.
by rewrite subr_ge0 ler_pdivr_mulr // mulrC.
Qed.

(** ReLU has difference quotients in [[0, 1]]. *)
Theorem relu_in_sector : in_sector 0 1 (fun z => Num.max 0 z).
Proof.
move=> s t; rewrite /= /Num.max; case: (ltP 0 s) => s0; case: (ltP 0 t) => t0.
- by have -> : (s - t - 0 * (s - t)) * (1 * (s - t) - (s - t)) = 0 by ring.
- have -> : (s - 0 - 0 * (s - t)) * (1 * (s - t) - (s - 0)) = s * - t by ring.
  by rewrite mulr_ge0 ?oppr_ge0 // ltW.
- have -> : (0 - t - 0 * (s - t)) * (1 * (s - t) - (0 - t)) = t * - s by ring.
  by rewrite mulr_ge0 ?oppr_ge0 // ltW.
- by have -> : (0 - 0 - 0 * (s - t)) * (1 * (s - t) - (0 - 0)) = 0 by ring.
Qed.
End Lipschitz.
