(** * Linear regression does not care where it starts

    A linear model has no hidden units that could be confused: its loss is a convex quadratic, and
    gradient descent finds the one minimizer from every start, all weights equal or zero included.
    Nothing has to be diagonalised for this: it is enough that [X] stretches every vector by at least
    [sqrt a] and at most [sqrt b].  Directions that [X] does not see at all are never trained. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors limits.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** A step on the loss [normsq (X w - y) / 2], whose gradient is [X^T (X w - y)]. *)
Definition regression_step (R : ringType) m n (X : 'M[R]_(m, n)) (y : 'cV[R]_m) lr (w : 'cV[R]_n) :=
  w - lr *: (X^T *m (X *m w - y)).

Definition regression (R : ringType) m n (X : 'M[R]_(m, n)) (y : 'cV[R]_m) lr (w : 'cV[R]_n) t :=
  iter t (regression_step X y lr) w.

(** What [X] does not see keeps its starting value. *)
Theorem unseen_directions_stay (R : comRingType) m n (X : 'M[R]_(m, n)) y lr w t v :
  X *m v = 0 -> dot v (regression X y lr w t) = dot v w.
Proof.
move=> unseen; elim: t => [|t IHt] //=.
by rewrite /regression_step dotBr dotZr dot_mulmx trmxK unseen dot0l mulr0 subr0.
Qed.

Section Regression.
Variable R : archiFieldType.

(** The transpose stretches no more than the matrix. *)
Lemma transpose_stretch m n (X : 'M[R]_(m, n)) b : 0 <= b ->
  (forall x, normsq (X *m x) <= b * normsq x) -> forall z, normsq (X^T *m z) <= b * normsq z.
Proof.
move=> b_ge0 stretch z; set x := X^T *m z; have [x0|x_neq0] := eqVneq x 0.
  by rewrite x0 normsq0 mulr_ge0 ?normsq_ge0.
have x_gt0 : 0 < normsq x by rewrite normsq_gt0.
have := dot_sq_le z (X *m x); rewrite dot_mulmx -/x -/(normsq x) expr2 => bound.
rewrite -(ler_pmul2r x_gt0) (le_trans bound) // (mulrC b) -mulrA.
by rewrite ler_wpmul2l ?normsq_ge0.
Qed.

(** One step brings the weights nearer to the minimizer by a fixed factor. *)
Lemma regression_contracts m n (X : 'M[R]_(m, n)) y a b lr wmin w : 0 < b -> 0 < lr < 2%:R / b ->
  (forall x, a * normsq x <= normsq (X *m x) <= b * normsq x) -> X^T *m (X *m wmin - y) = 0 ->
  normsq (regression_step X y lr w - wmin) <= (1 - lr * (2%:R - lr * b) * a) * normsq (w - wmin).
Proof.
move=> b_gt0 /andP[lr_gt0 lr_lt] stretch minimal; set e := w - wmin.
have stepE : regression_step X y lr w - wmin = e - lr *: (X^T *m (X *m e)).
  rewrite /regression_step addrAC -/e; congr (_ - _ *: _).
  have -> : X *m w - y = X *m e + (X *m wmin - y) by rewrite mulmxBr addrA subrK.
  by rewrite mulmxDr minimal addr0.
rewrite stepE normsqB normsqZ dotZr dot_mulmx trmxK -/(normsq _).
have upper := transpose_stretch (ltW b_gt0) (fun x => (andP (stretch x)).2) (X *m e).
have lower := (andP (stretch e)).1.
have slope_gt0 : 0 < lr * (2%:R - lr * b) by rewrite mulr_gt0 // subr_gt0 -ltr_pdivl_mulr.
apply: (@le_trans _ _ (normsq e - lr * (2%:R - lr * b) * normsq (X *m e))).
  rewrite -subr_ge0.
  have -> : normsq e - lr * (2%:R - lr * b) * normsq (X *m e) -
      (normsq e - 2%:R * (lr * normsq (X *m e)) + lr ^+ 2 * normsq (X^T *m (X *m e))) =
      lr ^+ 2 * (b * normsq (X *m e) - normsq (X^T *m (X *m e))) by ring.
  by rewrite mulr_ge0 ?sqr_ge0 // subr_ge0.
by rewrite mulrBl mul1r ler_add2l ler_opp2 -mulrA ler_pmul2l.
Qed.

(** Gradient descent on linear regression converges from every start. *)
Theorem regression_converges m n (X : 'M[R]_(m, n)) y a b lr wmin w : 0 < a <= b ->
  0 < lr < 2%:R / b -> (forall x, a * normsq x <= normsq (X *m x) <= b * normsq x) ->
  X^T *m (X *m wmin - y) = 0 -> converges_to (regression X y lr w) wmin.
Proof.
move=> /andP[a_gt0 ab] rate stretch minimal; have b_gt0 := lt_le_trans a_gt0 ab.
set q := 1 - lr * (2%:R - lr * b) * a.
have contracts v := regression_contracts v b_gt0 rate stretch minimal.
case/andP: rate => lr_gt0 lr_lt; rewrite -/q in contracts.
have slope_gt0 : 0 < lr * (2%:R - lr * b) by rewrite mulr_gt0 // subr_gt0 -ltr_pdivl_mulr.
have q_ge0 : 0 <= q.
  rewrite subr_ge0 (le_trans (ler_wpmul2l (ltW slope_gt0) ab)) // -subr_ge0.
  have -> : 1 - lr * (2%:R - lr * b) * b = (1 - lr * b) ^+ 2 by ring.
  exact: sqr_ge0.
have q_lt1 : `|q| < 1 by rewrite ger0_norm // gtr_addl oppr_lt0 mulr_gt0.
have shrinks t : normsq (regression X y lr w t - wmin) <= q ^+ t * normsq (w - wmin).
  elim: t => [|t IHt]; first by rewrite expr0 mul1r.
  by rewrite exprS -mulrA (le_trans (contracts _)) // ler_wpmul2l.
move=> i eps eps_gt0; have eps2_gt0 : 0 < eps ^+ 2 by rewrite exprn_gt0.
have [T small] := tends_to_zeroZ (normsq (w - wmin)) (geometric_vanishes q_lt1) eps2_gt0.
exists T => t /small; rewrite ger0_norm ?mulr_ge0 ?normsq_ge0 ?exprn_ge0 // mulrC => small_t.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?(ltW eps_gt0) // (le_trans _ small_t) //.
rewrite (le_trans _ (shrinks t)) // real_normK ?num_real // expr2 /normsq /dot (bigD1 i) //= ler_addl.
by apply: sumr_ge0 => j _; rewrite -expr2 sqr_ge0.
Qed.
End Regression.
