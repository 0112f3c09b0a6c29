(** * The Jacobian of softmax

    Attention weights [p] come out of a softmax, whose Jacobian is [diag p - p p^T].  It never stretches
    by more than one half; it stretches by at least [max p_i (1 - p_i)] and at most twice that, so a
    saturated softmax passes almost no gradient.  Its eigenvalues solve a secular equation. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms entries.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Softmax.
Variable R : rcfType.

Definition softmax_jacobian n (p : 'cV[R]_n) : 'M[R]_n := diag_mx p^T - p *m p^T.

(** Probabilities: what a softmax returns. *)
Definition probabilities n (p : 'cV[R]_n) : Prop := (forall i, 0 <= p i 0) /\ \sum_i p i 0 = 1.

Lemma softmax_jacobianE n (p : 'cV[R]_n) i j :
  softmax_jacobian p i j = (p i 0 *+ (i == j)) - p i 0 * p j 0.
Proof. by rewrite !mxE big_ord1 !mxE; case: eqP => [->|]. Qed.

Lemma softmax_row_sum n (p : 'cV[R]_n) i : probabilities p ->
  \sum_j `|softmax_jacobian p i j| = 2%:R * (p i 0 * (1 - p i 0)).
Proof.
move=> [p_ge0 total]; rewrite (bigD1 i) //= softmax_jacobianE eqxx mulr1n.
have rest : \sum_(j < n | j != i) p j 0 = 1 - p i 0.
  by move: total; rewrite (bigD1 i) //= => <-; rewrite addrAC subrr add0r.
have p_le1 : p i 0 <= 1 by rewrite -subr_ge0 -rest sumr_ge0.
rewrite -{1}[p i 0]mulr1 -mulrBr ger0_norm ?mulr_ge0 ?subr_ge0 //.
rewrite (eq_bigr (fun j => p i 0 * p j 0)) => [|j j_neq]; last first.
  by rewrite softmax_jacobianE eq_sym (negbTE j_neq) mulr0n sub0r normrN ger0_norm ?mulr_ge0.
by rewrite -mulr_sumr rest; ring.
Qed.

(** From above: twice the largest [p_i (1 - p_i)], and never more than one half. *)
Theorem softmax_stretches_at_most n (p : 'cV[R]_n) m : probabilities p -> 0 <= m ->
  (forall i, p i 0 * (1 - p i 0) <= m) -> stretch_le (softmax_jacobian p) (2%:R * m).
Proof.
move=> prob m_ge0 bound; have m2_ge0 : 0 <= 2%:R * m by rewrite mulr_ge0 ?ler0n.
have rows i : \sum_j `|softmax_jacobian p i j| <= 2%:R * m.
  by rewrite softmax_row_sum // ler_pmul2l ?ltr0n.
rewrite -[2%:R * m]ger0_norm // -sqrtr_sqr expr2; apply: norm_by_sums => // j.
by rewrite (eq_bigr (fun i => `|softmax_jacobian p j i|)) // => i _; rewrite !softmax_jacobianE eq_sym mulrC; case: eqP => [->|].
Qed.

Theorem softmax_stretches_at_most_half n (p : 'cV[R]_n) : probabilities p ->
  stretch_le (softmax_jacobian p) (1 / 2%:R).
Proof.
move=> prob; have quarter_ge0 : 0 <= 4%:R^-1 :> R by rewrite invr_ge0 ler0n.
have -> : 1 / 2%:R = 2%:R * 4%:R^-1 :> R by field.
apply: softmax_stretches_at_most => // i; rewrite -subr_ge0.
have -> : 4%:R^-1 - p i 0 * (1 - p i 0) = (p i 0 - 2%:R^-1) ^+ 2 by field.
exact: sqr_ge0.
Qed.

(** From below: every [p_i (1 - p_i)]. *)
Theorem softmax_stretches_at_least n (p : 'cV[R]_n) c i : stretch_le (softmax_jacobian p) c ->
  p i 0 * (1 - p i 0) <= c.
Proof.
move=> bound; apply: le_trans (entry_le i i bound).
by rewrite softmax_jacobianE eqxx mulr1n mulrBr mulr1 ler_norm.
Qed.

(** Every solution of the secular equation is an eigenvalue. *)
Theorem secular_roots_are_eigenvalues n (p : 'cV[R]_n) t : (forall i, p i 0 != t) ->
  \sum_i p i 0 ^+ 2 / (p i 0 - t) = 1 ->
  let x := \col_i (p i 0 / (p i 0 - t)) in x != 0 /\ softmax_jacobian p *m x = t *: x.
Proof.
move=> distinct secular x.
have pairing : (p^T *m x) 0 0 = 1.
  rewrite -[RHS]secular mxE; apply: eq_bigr => i _; rewrite !mxE expr2 mulrA.
  by [].
split.
  apply/eqP => x0; move: pairing; rewrite x0 mulmx0 mxE => /esym/eqP.
  by rewrite oner_eq0.
have -> : softmax_jacobian p *m x = diag_mx p^T *m x - p *m (p^T *m x).
  by rewrite mulmxBl mulmxA.
have -> : p *m (p^T *m x) = p.
  by apply/colP => i; rewrite mxE big_ord1 pairing mulr1.
have share a : a != t -> a * (a / (a - t)) - a = t * (a / (a - t)).
  by move=> a_neq; field; rewrite subr_eq0.
by apply/colP => i; rewrite mul_diag_mx !mxE share.
Qed.

(** If the largest entry occurs twice, it is an eigenvalue. *)
Theorem repeated_entry_is_eigenvalue n (p : 'cV[R]_n) (i j : 'I_n) a : i != j -> p i 0 = a -> p j 0 = a ->
  let x : 'cV[R]_n := delta_mx i 0 - delta_mx j 0 in x != 0 /\ softmax_jacobian p *m x = a *: x.
Proof.
move=> ij pi pj x; have xi : x i 0 = 1 by rewrite !mxE !eqxx (negbTE ij) subr0.
split; first by apply/eqP => x0; move/eqP: xi; rewrite x0 mxE eq_sym oner_eq0.
have pairing : p^T *m x = 0.
  by rewrite mulmxBr -!colE; apply/matrixP => k l; rewrite !ord1 !mxE pi pj subrr.
rewrite /softmax_jacobian mulmxBl -mulmxA pairing mulmx0 subr0.
apply/colP => k; rewrite mul_diag_mx !mxE.
have [->|ki] := eqVneq k i; first by rewrite pi.
by have [->|kj] := eqVneq k j; rewrite ?pj // subr0 !mulr0.
Qed.
End Softmax.
