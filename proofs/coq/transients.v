(** * Small eigenvalues do not make short transients

    The spectral radius says what the powers of a recurrent matrix do in the end, not on the way.  The
    matrix [[r, c], [0, r]] has the one eigenvalue [r]; its powers contain [t r^(t-1) c], which can grow
    far above one before it falls.  A matrix with orthonormal eigenvectors has no such transient. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms entries.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** The matrix [[r, c], [0, r]]. *)
Definition jordan_block (R : ringType) (r c : R) : 'M[R]_2 := r%:M + c *: delta_mx 0 1.

(** Its only eigenvalue is [r]. *)
Theorem jordan_block_eigenvalue (R : fieldType) (r c z : R) (x : 'cV[R]_2) :
  jordan_block r c *m x = z *: x -> x != 0 -> z = r.
Proof.
move=> eigen x_neq0; apply/eqP; apply: contraNT x_neq0 => z_neq_r.
have row i : r * x i 0 + (if i == 0 then c * x 1 0 else 0) = z * x i 0.
  have := congr1 (fun y : 'cV[R]_2 => y i 0) eigen.
  rewrite /jordan_block mulmxDl mul_scalar_mx -scalemxAl !mxE => <-; congr (_ + _).
  rewrite !big_ord_recl big_ord0 !mxE; case: eqP => _ /=; rewrite ?mul0r ?mul1r ?add0r ?addr0 ?mulr0 //.
  by congr (_ * x _ _); apply: val_inj.
have below : x 1 0 = 0.
  have /eqP := row 1; rewrite addr0 -subr_eq0 -mulrBl mulf_eq0 subr_eq0 eq_sym (negbTE z_neq_r) /=.
  by move/eqP.
have above : x 0 0 = 0.
  have /eqP := row 0; rewrite below mulr0 addr0 -subr_eq0 -mulrBl mulf_eq0 subr_eq0 eq_sym (negbTE z_neq_r).
  by move/eqP.
apply/eqP/colP => i; rewrite mxE; case: (unliftP 0 i) => [j ->|->] //.
by rewrite ord1 -below; congr (x _ _); apply: val_inj.
Qed.

(** Its powers. *)
Theorem jordan_block_powers (R : comRingType) (r c : R) t :
  jordan_block r c ^+ t.+1 = jordan_block (r ^+ t.+1) ((r ^+ t * c) *+ t.+1).
Proof.
elim: t => [|t IHt]; first by rewrite !expr1 expr0 mul1r mulr1n.
rewrite exprSr IHt /jordan_block -mulmxE mulmxDl !mulmxDr !mul_scalar_mx scale_scalar_mx.
rewrite -exprSr -!scalemxAl -!scalemxAr !mul_mx_scalar mul_delta_mx_0 // !scaler0 addr0.
rewrite -addrA !scalerA -scalerDl; congr (_ + _ *: _).
by rewrite [in RHS]mulrSr !exprS; ring.
Qed.

Section Transients.
Variable R : rcfType.

(** The norm of a power is at least its off-diagonal entry. *)
Theorem jordan_block_transient (r c : R) t b : 0 <= r -> 0 <= c ->
  stretch_le (jordan_block r c ^+ t.+1) b -> (r ^+ t * c) *+ t.+1 <= b.
Proof.
move=> r_ge0 c_ge0 bound; have := entry_le 0 1 bound.
rewrite jordan_block_powers !mxE /= mulr0n add0r mulr1 ger0_norm //.
by rewrite mulrn_wge0 // mulr_ge0 ?exprn_ge0.
Qed.

(** With [r = 0.9] and [c = 50] the tenth power is longer than 190. *)
Theorem transient_example b :
  stretch_le (jordan_block (9%:R / 10%:R : R) 50%:R ^+ 10) b -> 190%:R < b.
Proof.
move=> bound; apply: lt_le_trans (jordan_block_transient _ _ bound); rewrite ?divr_ge0 ?ler0n //.
set q := _ / _; have q3 : 8%:R / 11%:R < q ^+ 3.
  rewrite expr_div_n ltr_pdivr_mulr ?ltr0n // mulrAC ltr_pdivl_mulr ?exprn_gt0 ?ltr0n //.
  by rewrite -!natrX -!natrM ltr_nat.
have q9 : (8%:R / 11%:R) ^+ 3 < q ^+ 9.
  by rewrite (exprM q 3 3) ltr_expn2r // divr_ge0 ?ler0n.
have enough : 19%:R < (8%:R / 11%:R) ^+ 3 * 50%:R :> R.
  rewrite expr_div_n mulrAC ltr_pdivl_mulr ?exprn_gt0 ?ltr0n //.
  by rewrite -!natrX -!natrM ltr_nat.
rewrite (_ : 190%:R = 19%:R *+ 10) ?ltr_muln2r -?mulrnA //=.
by rewrite (lt_trans enough) // ltr_pmul2r ?ltr0n.
Qed.

(** With orthonormal eigenvectors the powers decay as the eigenvalues do. *)
Theorem normal_matrices_have_no_transient n (Q : 'M[R]_n.+1) (d : 'rV[R]_n.+1) r t :
  Q^T *m Q = 1%:M -> 0 <= r -> (forall i, `|d 0 i| <= r) ->
  stretch_le ((Q^T *m diag_mx d *m Q) ^+ t) (r ^+ t).
Proof.
move=> isometry r_ge0 bound; have isometry' : Q *m Q^T = 1%:M by exact: mulmx1C.
have powers : (Q^T *m diag_mx d *m Q) ^+ t = Q^T *m diag_mx (\row_i d 0 i ^+ t) *m Q.
  elim: t => [|t IHt].
    rewrite expr0 (_ : diag_mx _ = 1%:M) ?mulmx1 //.
    by apply/matrixP => i j; rewrite !mxE expr0; case: eqP.
  rewrite exprS IHt -mulmxE !mulmxA -[_ *m Q *m Q^T]mulmxA isometry' mulmx1.
  congr (_ *m _); rewrite -mulmxA mulmx_diag; congr (_ *m diag_mx _).
  by apply/rowP => i; rewrite !mxE exprS.
move=> x; rewrite powers norm_le ?exprn_ge0 //.
have same y : normsq (Q *m y) = normsq y by rewrite /normsq dot_mulmx mulmxA isometry mul1mx.
have same' y : normsq (Q^T *m y) = normsq y by rewrite /normsq dot_mulmx trmxK mulmxA isometry' mul1mx.
rewrite -!mulmxA same' -[normsq x]same mulr_sumr ler_sum // => i _.
rewrite mul_diag_mx !mxE mulrACA -!expr2 ler_wpmul2r ?sqr_ge0 //.
rewrite -[d 0 i ^+ t ^+ 2]real_normK ?num_real // normrX.
by apply: ler_expn2r; rewrite ?nnegrE ?exprn_ge0 // ler_expn2r ?nnegrE.
Qed.
End Transients.
