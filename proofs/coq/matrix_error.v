(** * The rounding error of matrix products, Gram matrices and Cholesky factors

    Every entry of a computed product is an inner product, summed in an order that the library chooses.
    The errors of the entries add up to an error of the matrix in the spectral norm that is small
    compared with the squared Frobenius norm: this is what a certificate charges for a computed Gram
    matrix, and what a completed Cholesky factorization leaves to be said about the smallest
    eigenvalue. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms conditions chains entries certificates dot_error.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Entries.
Variable R : realFieldType.

(** The products of a sum, in the order in which it meets them. *)
Fixpoint leaves (s : summation R) : seq (R * R) :=
  match s with Product x y => [:: (x, y)] | Sum l r => leaves l ++ leaves r end.

Lemma leaves_exact s : exact_value s = \sum_(xy <- leaves s) xy.1 * xy.2.
Proof. by elim: s => [x y|l IHl r IHr] /=; rewrite ?big_seq1 // big_cat /= IHl IHr. Qed.

Lemma leaves_modulus s : modulus s = \sum_(xy <- leaves s) `|xy.1 * xy.2|.
Proof. by elim: s => [x y|l IHl r IHr] /=; rewrite ?big_seq1 // big_cat /= IHl IHr. Qed.

Lemma leaves_terms s : terms s = size (leaves s).
Proof. by elim: s => [x y|l IHl r IHr] //=; rewrite size_cat IHl IHr. Qed.

(** [Z] is a possible result of computing [X Y]: each entry is a sum of its products in some order. *)
Definition computed_product u m k n (X : 'M[R]_(m, k)) (Y : 'M[R]_(k, n)) (Z : 'M[R]_(m, n)) : Prop :=
  forall i j, exists2 s, perm_eq (leaves s) [seq (X i l, Y l j) | l <- enum 'I_k] & computed u s (Z i j).

(** The error of a matrix product, entry by entry. *)
Theorem matrix_product_error u m k n (X : 'M[R]_(m, k)) (Y : 'M[R]_(k, n)) Z i j :
  0 <= u -> k%:R * u < 1 -> computed_product u X Y Z ->
  `|Z i j - (X *m Y) i j| <= gamma u k * \sum_l `|X i l * Y l j|.
Proof.
move=> u_ge0 small comp; have [s leaves_s comp_s] := comp i j.
have termsE : terms s = k by rewrite leaves_terms (perm_size leaves_s) size_map size_enum_ord.
have -> : (X *m Y) i j = exact_value s.
  by rewrite leaves_exact (perm_big _ leaves_s) big_map big_enum mxE.
have -> : \sum_l `|X i l * Y l j| = modulus s.
  by rewrite leaves_modulus (perm_big _ leaves_s) big_map big_enum.
by rewrite -[in gamma _ _]termsE dot_product_error // termsE.
Qed.
End Entries.

Section Norms.
Variable R : rcfType.

Lemma gamma_ge0 (u : R) k : 0 <= u -> k%:R * u < 1 -> 0 <= gamma u k.
Proof. by move=> u_ge0 small; rewrite divr_ge0 ?mulr_ge0 ?ler0n // subr_ge0 ltW. Qed.

(** The moduli of the entries. *)
Definition moduli m n (A : 'M[R]_(m, n)) : 'M[R]_(m, n) := map_mx Num.norm A.

Lemma frob_moduli m n (A : 'M[R]_(m, n)) : frob (moduli A) = frob A.
Proof.
rewrite /frob !frobsq_entries; congr Num.sqrt.
by apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite mxE real_normK ?num_real.
Qed.

Lemma norm_moduli n (x : 'cV[R]_n) : norm (moduli x) = norm x.
Proof.
rewrite /norm /normsq /dot; congr Num.sqrt; apply: eq_bigr => i _.
by rewrite mxE -normrM -expr2 ger0_norm ?sqr_ge0.
Qed.

(** Smaller entries make a smaller norm. *)
Lemma stretch_le_entries m n (E F : 'M[R]_(m, n)) c :
  (forall i j, `|E i j| <= F i j) -> stretch_le F c -> stretch_le E c.
Proof.
move=> small bound x; have := bound (moduli x); rewrite norm_moduli; apply: le_trans.
rewrite -[norm (F *m _)]mul1r norm_le ?ler01 // expr1n mul1r ler_sum // => i _.
rewrite -!expr2 -real_normK ?num_real // ler_expn2r ?nnegrE //.
  by rewrite mxE sumr_ge0 // => j _; rewrite mxE mulr_ge0 // (le_trans _ (small i j)).
rewrite !mxE (le_trans (ler_norm_sum _ _ _)) // ler_sum // => j _.
by rewrite mxE normrM ler_wpmul2r.
Qed.

(** An error of at most [g] times the product of the moduli of [L] and its transpose. *)
Lemma stretch_le_gram m n (L : 'M[R]_(m, n)) (E : 'M[R]_m) g : 0 <= g ->
  (forall i j, `|E i j| <= g * \sum_k `|L i k * L j k|) -> stretch_le E (g * frob L ^+ 2).
Proof.
move=> g_ge0 small; have small' i j : `|E i j| <= (g *: (moduli L *m (moduli L)^T)) i j.
  rewrite !mxE (le_trans (small i j)) // ler_wpmul2l // ler_sum // => k _.
  by rewrite !mxE normrM.
apply: stretch_le_entries small' _ => x; rewrite -scalemxAl normZ ger0_norm // -mulrA ler_wpmul2l //.
have both : stretch_le (moduli L *m (moduli L)^T) (frob L * frob L).
  apply: stretch_le_mul; rewrite ?frob_ge0 //; rewrite -frob_moduli; first exact: stretch_le_frob.
  by rewrite -frob_tr; exact: stretch_le_frob.
by rewrite expr2; apply: both.
Qed.

(** The computed Gram matrix is within [gamma_m |A|_F^2] of the exact one; entries that underflow by
    [eta] add [n eta]. *)
Theorem gram_error u eta m n (A : 'M[R]_(m, n)) (Z B : 'M[R]_n) :
  0 <= u -> m%:R * u < 1 -> 0 <= eta -> computed_product u A^T A Z ->
  (forall i j, `|B i j - Z i j| <= eta) ->
  stretch_le (B - A^T *m A) (gamma u m * frob A ^+ 2 + n%:R * eta).
Proof.
move=> u_ge0 small eta_ge0 comp underflow x.
have -> : B - A^T *m A = (Z - A^T *m A) + (B - Z) by rewrite [RHS]addrC addrA subrK.
rewrite mulmxDl (le_trans (normD _ _)) // mulrDl ler_add //.
  rewrite -frob_tr; apply: stretch_le_gram; first exact: gamma_ge0.
  move=> i j; rewrite mxE [(- (A^T *m A)) i j]mxE (le_trans (matrix_product_error _ _ u_ge0 small comp)) //.
  by rewrite ler_wpmul2l ?gamma_ge0 // ler_sum // => k _; rewrite [A^T j k]mxE.
have total_ge0 : 0 <= n%:R * eta by rewrite mulr_ge0 ?ler0n.
rewrite -[n%:R * eta]ger0_norm // -sqrtr_sqr expr2.
have sums (F : 'I_n -> R) : (forall i, F i <= eta) -> \sum_i F i <= n%:R * eta.
  move=> F_small; rewrite -[n in n%:R]card_ord mulr_natl -sumr_const ler_sum //.
by apply: norm_by_sums => // i; apply: sums => j; rewrite mxE [(- Z) _ _]mxE.
Qed.

(** What a completed factorization proves: with [M + E = L L^T] and an error [E] of at most [g] times
    the product of the moduli, no eigenvalue of [M] is below [- g / (1 - g)] times its trace. *)
Theorem cholesky_bound n (M E L : 'M[R]_n) g : 0 <= g < 1 -> M + E = L *m L^T ->
  (forall i j, `|E i j| <= g * \sum_k `|L i k * L j k|) ->
  form_ge M (- (g / (1 - g) * \tr M)).
Proof.
move=> /andP[g_ge0 g_lt1] factored small.
have g1_gt0 : 0 < 1 - g by rewrite subr_gt0.
have traceE : \tr M + \tr E = frob L ^+ 2.
  rewrite -mxtraceD factored frob_sq frobsq_entries; apply: eq_bigr => i _; rewrite mxE.
  by apply: eq_bigr => j _; rewrite mxE expr2.
have trace_small : `|\tr E| <= g * frob L ^+ 2.
  rewrite (le_trans (ler_norm_sum _ _ _)) // frob_sq frobsq_entries mulr_sumr ler_sum // => i _.
  rewrite (le_trans (small i i)) // ler_wpmul2l // ler_sum // => k _.
  by rewrite -expr2 normrX real_normK ?num_real.
have size : frob L ^+ 2 <= \tr M / (1 - g).
  rewrite ler_pdivl_mulr // mulrBr mulr1 ler_subl_addr -traceE ler_add2l.
  by rewrite (le_trans (ler_norm _)) // mulrC traceE.
apply: cholesky_perturbed factored _ => x.
apply: le_trans (stretch_le_gram g_ge0 small x) _.
by rewrite ler_wpmul2r ?norm_ge0 // mulrAC -mulrA ler_wpmul2l.
Qed.
End Norms.
