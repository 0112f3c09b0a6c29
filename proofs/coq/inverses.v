(** * Approximate inverses: any guess with a small residual encloses the smallest singular value

    The smallest stretch of a layer decides whether gradients vanish, and it is the norm of an inverse.  A computed inverse is
    wrong in its last digits, or in all of them; but if [I - X A] is small for the [X] at hand, then [X] is as
    good as the inverse up to a factor that is known.  No trust in how [X] was found is needed. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms conditions.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section AnyNorm.
Variable R : rcfType.

(** A norm on square matrices, and matrices that multiply it by at most [a] from the left. *)
Definition matrix_norm n (N : 'M[R]_n -> R) :=
  [/\ forall A, 0 <= N A, forall A, N A = 0 -> A = 0, forall A B, N (A + B) <= N A + N B
    & forall A, N (- A) = N A].
Definition multiplies_by n (N : 'M[R]_n -> R) (E : 'M[R]_n) (a : R) := forall Z, N (E *m Z) <= a * N Z.

(** A small residual proves that both matrices are invertible. *)
Theorem approximate_inverse_unit n (N : 'M[R]_n -> R) (A X : 'M[R]_n) a :
  matrix_norm N -> multiplies_by N (1%:M - X *m A) a -> a < 1 -> A \in unitmx /\ X \in unitmx.
Proof.
move=> [N0 Nz _ _] small a1.
suff uXA : X *m A \in unitmx by move: uXA; rewrite unitmx_mul andbC => /andP.
rewrite -unitmx_tr -row_free_unit -kermx_eq0; apply/eqP; set K := kermx _.
have: X *m A *m K^T = 0 by apply: trmx_inj; rewrite trmx_mul trmxK trmx0 mulmx_ker.
move=> z; have := small K^T; rewrite mulmxBl mul1mx z subr0 => le.
suff: K^T = 0 by move=> /(congr1 trmx); rewrite trmxK trmx0.
apply: Nz; apply/eqP; rewrite eq_le N0 andbT leNgt; apply/negP => p.
by move: le; rewrite -{1}[N _]mul1r ler_pmul2r // leNgt a1.
Qed.

(** The norm of the inverse, enclosed by that of its approximation. *)
Theorem approximate_inverse_norm n (N : 'M[R]_n -> R) (A X : 'M[R]_n) a :
  matrix_norm N -> multiplies_by N (1%:M - X *m A) a -> 0 <= a -> a < 1 ->
  N X / (1 + a) <= N (invmx A) /\ N (invmx A) <= N X / (1 - a).
Proof.
move=> norm small a0 a1; have [uA _] := approximate_inverse_unit norm small a1.
case: norm => N0 _ Nadd Nopp; have := small (invmx A).
have -> : (1%:M - X *m A) *m invmx A = invmx A - X by rewrite mulmxBl mul1mx mulmxK.
move=> near; rewrite ler_pdivr_mulr ?ler_pdivl_mulr ?subr_gt0 //; last first.
  by rewrite addrC ltr_spaddr ?ltr01.
rewrite mulrDr mulrBr !mulr1 ler_subl_addr; split.
  have {1}-> : X = invmx A + - (invmx A - X) by rewrite opprB addrC subrK.
  by apply: le_trans (Nadd _ _) _; rewrite Nopp ler_add2l mulrC.
have {1}-> : invmx A = X + (invmx A - X) by rewrite addrC subrK.
by apply: le_trans (Nadd _ _) _; rewrite ler_add2l mulrC.
Qed.

(** The Frobenius norm is one, with factors measured in the operator norm. *)
Lemma frob_eq0 n (A : 'M[R]_n) : frob A = 0 -> A = 0.
Proof.
move=> /eqP; rewrite -sqrf_eq0 frob_sq psumr_eq0 => [/allP z|j _]; last exact: normsq_ge0.
apply/matrixP => i j; have := z j (mem_index_enum _); rewrite normsq_eq0 => /eqP/matrixP/(_ i 0).
by rewrite !mxE.
Qed.

Lemma frob_dot n (A B : 'M[R]_n) : (\sum_j dot (col j A) (col j B)) ^+ 2 <= frobsq A * frobsq B.
Proof.
rewrite -!frob_sq -exprMn -real_normK ?num_real // ler_pexpn2r ?nnegrE ?mulr_ge0 ?frob_ge0 //.
apply: le_trans (ler_norm_sum _ _ _) _.
pose u : 'cV[R]_n := \col_j norm (col j A); pose v : 'cV[R]_n := \col_j norm (col j B).
have nE (C : 'M[R]_n) : frob C = norm (\col_j norm (col j C)).
  by rewrite /frob /norm; congr Num.sqrt; apply: eq_bigr => j _; rewrite !mxE -expr2 -/(norm _) norm_sq.
rewrite !nE; apply: le_trans (dot_le u v); rewrite ger0_norm.
  by apply: ler_sum => j _; rewrite !mxE dot_le.
by apply: sumr_ge0 => j _; rewrite !mxE mulr_ge0 ?norm_ge0.
Qed.

Theorem frob_is_matrix_norm n : matrix_norm (@frob R n n).
Proof.
split=> [A|A|A B|A]; [exact: frob_ge0 | exact: frob_eq0 | | ]; last first.
  by rewrite /frob /frobsq; congr Num.sqrt; apply: eq_bigr => j _; rewrite linearN normsqN.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?addr_ge0 ?frob_ge0 // frob_sq sqrrD !frob_sq.
have -> : frobsq (A + B) = frobsq A + 2%:R * (\sum_j dot (col j A) (col j B)) + frobsq B.
  rewrite mulr_sumr -!big_split; apply: eq_bigr => j _ /=.
  by rewrite linearD normsqD.
rewrite ler_add2r ler_add2l -[X in _ <= X]mulr_natl ler_pmul2l ?ltr0n //.
rewrite (le_trans (ler_norm _)) // -(@ler_pexpn2r _ 2) ?nnegrE ?mulr_ge0 ?frob_ge0 //.
by rewrite real_normK ?num_real // exprMn !frob_sq frob_dot.
Qed.

Theorem frob_multiplies_by n (E : 'M[R]_n) a : 0 <= a -> stretch_le E a -> multiplies_by (@frob R n n) E a.
Proof. by move=> a0 small Z; exact: frob_mul_stretch. Qed.

(** ** The operator norm *)

(** The smallest stretch, from a residual and the norm of the approximate inverse. *)
Theorem approximate_inverse_stretch n (A X : 'M[R]_n) a x :
  stretch_le (1%:M - X *m A) a -> stretch_le X x -> 0 < x -> stretch_ge A ((1 - a) / x).
Proof.
move=> small bX x0 u; rewrite mulrAC ler_pdivr_mulr // [_ * x]mulrC.
apply: le_trans (bX _); rewrite mulmxA mulrBl mul1r.
have -> : X *m A *m u = u - (1%:M - X *m A) *m u by rewrite mulmxBl mul1mx opprB addrC subrK.
by apply: le_trans (normB _ _); rewrite ler_sub.
Qed.

(** Both sides, for the operator norms themselves. *)
Theorem approximate_inverse_op_norm n (A X : 'M[R]_n) a x y :
  A \in unitmx -> stretch_le (1%:M - X *m A) a -> 0 <= a -> a < 1 ->
  is_norm X x -> is_norm (invmx A) y -> x / (1 + a) <= y /\ y <= x / (1 - a).
Proof.
move=> uA small a0 a1 [x0 bX lX] [y0 bY lY].
have p : 0 < 1 + a by rewrite addrC ltr_spaddr ?ltr01.
have q : 0 < 1 - a by rewrite subr_gt0.
have E u : invmx A *m u - X *m u = (1%:M - X *m A) *m (invmx A *m u).
  by rewrite !mulmxBl mul1mx -!mulmxA mulKVmx.
split.
  rewrite ler_pdivr_mulr //; apply: lX => [|u]; first by rewrite mulr_ge0 // ltW.
  have -> : X *m u = invmx A *m u + - (invmx A *m u - X *m u) by rewrite opprB addrC subrK.
  apply: le_trans (normD _ _) _; rewrite normN E.
  apply: (@le_trans _ _ ((1 + a) * norm (invmx A *m u))); first by rewrite mulrDl mul1r ler_add2l small.
  by rewrite [y * _]mulrC -mulrA ler_wpmul2l ?(ltW p).
apply: lY => [|u]; first by rewrite divr_ge0 // ltW.
rewrite mulrAC ler_pdivl_mulr // mulrBr mulr1 [_ * a]mulrC.
apply: le_trans (bX u); rewrite ler_subl_addr.
have {1}-> : invmx A *m u = X *m u + (invmx A *m u - X *m u) by rewrite addrC subrK.
by apply: le_trans (normD _ _) _; rewrite E ler_add2l small.
Qed.

(** ** Approximate inverse factors *)

Lemma near_isometry m n (Y : 'M[R]_(m, n)) beta x : stretch_le (Y^T *m Y - 1%:M) beta ->
  (1 - beta) * normsq x <= normsq (Y *m x) /\ normsq (Y *m x) <= (1 + beta) * normsq x.
Proof.
move=> near; have E : normsq (Y *m x) = normsq x + dot x ((Y^T *m Y - 1%:M) *m x).
  by rewrite mulmxBl mul1mx dotBr -mulmxA dot_mulmx trmxK addrC subrK.
have : `|dot x ((Y^T *m Y - 1%:M) *m x)| <= beta * normsq x.
  apply: le_trans (dot_le _ _) _; rewrite -norm_sq expr2 mulrCA.
  by rewrite ler_wpmul2l ?norm_ge0.
rewrite ler_norml => /andP [lo hi]; rewrite E mulrBl mulrDl !mul1r.
by rewrite !ler_add2l.
Qed.

(** If [A X] is close to a near isometry [Y], its stretches lie in an interval around 1. *)
Theorem inverse_factor_stretch m n (A : 'M[R]_(m, n)) (X : 'M[R]_n) (Y : 'M[R]_(m, n)) beta f :
  stretch_le (Y^T *m Y - 1%:M) beta -> beta <= 1 -> 0 <= beta -> stretch_le (A *m X - Y) f ->
  stretch_ge (A *m X) (Num.sqrt (1 - beta) - f) /\ stretch_le (A *m X) (Num.sqrt (1 + beta) + f).
Proof.
move=> iso b1 b0 near.
have p : 0 <= 1 - beta by rewrite subr_ge0.
have q : 0 <= 1 + beta by rewrite addr_ge0 ?ler01.
split=> x; have [lo hi] := near_isometry x iso; rewrite ?mulrBl ?mulrDl.
  have -> : A *m X *m x = Y *m x - - ((A *m X - Y) *m x) by rewrite opprK mulmxBl addrC subrK.
  apply: le_trans (normB _ _); rewrite normN ler_sub //.
  by rewrite norm_ge ?sqrtr_ge0 // sqr_sqrtr.
have -> : A *m X *m x = Y *m x + (A *m X - Y) *m x by rewrite mulmxBl addrC subrK.
by apply: le_trans (normD _ _) _; rewrite ler_add // norm_le ?sqrtr_ge0 // sqr_sqrtr.
Qed.

(** So the smallest stretch of [A] is enclosed by the norm of [X]. *)
Theorem inverse_factor_smallest m n (A : 'M[R]_(m, n)) (X : 'M[R]_n) c C x s :
  stretch_ge (A *m X) c -> stretch_le (A *m X) C -> 0 < c -> is_norm X x -> 0 < x -> is_smallest A s ->
  X \in unitmx /\ c / x <= s <= C / x.
Proof.
move=> lo hi c0 [_ bX lX] x0 [s0 bA mA].
have uX : X \in unitmx.
  rewrite -unitmx_tr -row_free_unit -kermx_eq0; apply/eqP/row_matrixP => i; rewrite row0.
  set r := row i _; have z : X *m r^T = 0.
    by apply: trmx_inj; rewrite trmx_mul trmxK trmx0 -row_mul mulmx_ker row0.
  have := lo r^T; rewrite -mulmxA z mulmx0 norm0 pmulr_rle0 // => le.
  by apply: trmx_inj; apply/eqP; rewrite trmx0 -norm_eq0 eq_le le norm_ge0.
split=> //; apply/andP; split.
  apply: mA => u; rewrite mulrAC ler_pdivr_mulr //.
  have := lo (invmx X *m u); rewrite -mulmxA mulKVmx // => le.
  have up := bX (invmx X *m u); rewrite mulKVmx // in up.
  apply: (@le_trans _ _ (c * (x * norm (invmx X *m u)))); first by rewrite ler_pmul2l.
  by rewrite mulrCA [_ * x]mulrC ler_pmul2l.
have Cpos : 0 <= C.
  have := lX 0 (lexx 0) => h; rewrite leNgt; apply/negP => neg.
  suff: x <= 0 by rewrite leNgt x0.
  apply: h => u; rewrite mul0r; have := le_trans (lo u) (hi u).
  rewrite -subr_ge0 -mulrBl => h2; have : norm u <= 0.
    by move: h2; rewrite nmulr_rge0 // subr_lt0 (lt_trans neg).
  by rewrite le_eqVlt norm_eq0 ltNge norm_ge0 orbF => /eqP ->; rewrite mulmx0 norm0.
have [->|sn] := eqVneq s 0; first by rewrite divr_ge0 // ltW.
have sp : 0 < s by rewrite lt_neqAle eq_sym sn.
rewrite ler_pdivl_mulr // mulrC -ler_pdivl_mulr //; apply: lX => [|u]; first by rewrite divr_ge0.
by rewrite mulrAC ler_pdivl_mulr // [_ * s]mulrC (le_trans (bA _)) // mulmxA.
Qed.
(** And the norm of [A] by the smallest stretch of [X]. *)
Theorem inverse_factor_largest m n (A : 'M[R]_(m, n)) (X : 'M[R]_n) c C a s :
  X \in unitmx -> stretch_ge (A *m X) c -> stretch_le (A *m X) C -> 0 < c -> 0 <= C ->
  is_norm A a -> is_smallest X s -> 0 < s -> c / a <= s /\ a <= C / s.
Proof.
move=> uX lo hi c0 C0 [a0 bA lA] [s0 bX mX] sp; split; last first.
  apply: lA => [|u]; first by rewrite divr_ge0.
  rewrite mulrAC ler_pdivl_mulr //; have := hi (invmx X *m u); rewrite -mulmxA mulKVmx // => le.
  have low := bX (invmx X *m u); rewrite mulKVmx // in low.
  apply: (@le_trans _ _ (C * norm (invmx X *m u) * s)); first by rewrite ler_wpmul2r.
  by rewrite -mulrA [_ * s]mulrC ler_wpmul2l.
have [->|an] := eqVneq a 0; first by rewrite invr0 mulr0.
have ap : 0 < a by rewrite lt_neqAle eq_sym an.
apply: mX => u; rewrite mulrAC ler_pdivr_mulr // [_ * a]mulrC.
by apply: le_trans (lo u) _; rewrite -mulmxA.
Qed.
End AnyNorm.
