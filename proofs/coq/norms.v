(** * Norms: how far a layer, or a product of layers, can stretch a vector

    Forward signals and gradients pass through one weight matrix after another.  The largest factor by
    which a matrix stretches a vector is its operator norm, the smallest its smallest singular
    value (for a matrix that is not wide).  Products of norms bound the norm of a product, from both sides: this is
    what keeps gradients from exploding or vanishing when every layer is kept in range, and
    nothing but this; eigenvalues do not do it.

    A norm is not computed here but characterised: [stretch_le A c] says that [c] bounds the stretches of [A],
    [is_norm A c] that it is the least such bound.  No theorem needs an axiom. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Norms.
Variable R : rcfType.

(** [c] bounds what [A] does to lengths, from above or from below. *)
Definition stretch_le m n (A : 'M[R]_(m, n)) (c : R) := forall x, norm (A *m x) <= c * norm x.
Definition stretch_ge m n (A : 'M[R]_(m, n)) (c : R) := forall x, c * norm x <= norm (A *m x).

(** [c] is the operator norm of [A]: its least bound. *)
Definition is_norm m n (A : 'M[R]_(m, n)) (c : R) :=
  [/\ 0 <= c, stretch_le A c & forall d, 0 <= d -> stretch_le A d -> c <= d].

(** [c] is the smallest stretch of [A]: its smallest singular value, if [A] is not wide. *)
Definition is_smallest m n (A : 'M[R]_(m, n)) (c : R) :=
  [/\ 0 <= c, stretch_ge A c & forall d, stretch_ge A d -> d <= c].

(** The Frobenius norm. *)
Definition frobsq m n (A : 'M[R]_(m, n)) : R := \sum_j normsq (col j A).
Definition frob m n (A : 'M[R]_(m, n)) : R := Num.sqrt (frobsq A).

Lemma frobsq_ge0 m n (A : 'M[R]_(m, n)) : 0 <= frobsq A.
Proof. by apply: sumr_ge0 => j _; exact: normsq_ge0. Qed.

Lemma frob_ge0 m n (A : 'M[R]_(m, n)) : 0 <= frob A.
Proof. exact: sqrtr_ge0. Qed.

Lemma frob_sq m n (A : 'M[R]_(m, n)) : frob A ^+ 2 = frobsq A.
Proof. by rewrite sqr_sqrtr ?frobsq_ge0. Qed.

(** The square is the sum of the squares of all entries. *)
Theorem frobsq_entries m n (A : 'M[R]_(m, n)) : frobsq A = \sum_i \sum_j A i j ^+ 2.
Proof.
rewrite exchange_big; apply: eq_bigr => j _; apply: eq_bigr => i _.
by rewrite !mxE expr2.
Qed.

Lemma frobsq_tr m n (A : 'M[R]_(m, n)) : frobsq A^T = frobsq A.
Proof.
rewrite !frobsq_entries exchange_big; apply: eq_bigr => i _; apply: eq_bigr => j _.
by rewrite mxE.
Qed.

Lemma frob_tr m n (A : 'M[R]_(m, n)) : frob A^T = frob A.
Proof. by rewrite /frob frobsq_tr. Qed.

Lemma col_mulmx m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) j : col j (A *m B) = A *m col j B.
Proof. by rewrite !colE mulmxA. Qed.

(** ** The Frobenius norm of products *)

(** A matrix stretches no vector by more than its Frobenius norm. *)
Theorem stretch_le_frob m n (A : 'M[R]_(m, n)) : stretch_le A (frob A).
Proof.
move=> x; rewrite norm_le ?frob_ge0 // frob_sq -frobsq_tr mulr_suml.
apply: ler_sum => i _; rewrite -expr2.
have -> : (A *m x) i 0 = dot (col i A^T) x.
  by rewrite mxE; apply: eq_bigr => j _; rewrite !mxE.
exact: dot_sq_le.
Qed.

Theorem frob_mul_stretch m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) c :
  0 <= c -> stretch_le A c -> frob (A *m B) <= c * frob B.
Proof.
move=> c0 bA; rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?mulr_ge0 ?frob_ge0 //.
rewrite exprMn !frob_sq mulr_sumr; apply: ler_sum => j _.
by rewrite col_mulmx -norm_le.
Qed.

Theorem frob_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) : frob (A *m B) <= frob A * frob B.
Proof. by apply: frob_mul_stretch (frob_ge0 _) _; exact: stretch_le_frob. Qed.

Lemma frobsq_outer m n (x : 'cV[R]_m) (y : 'cV[R]_n) : frobsq (x *m y^T) = normsq x * normsq y.
Proof.
rewrite frobsq_entries mulr_suml; apply: eq_bigr => i _; rewrite mulr_sumr.
by apply: eq_bigr => j _; rewrite mxE big_ord1 mxE -!expr2 exprMn.
Qed.

(** Outer products through a common vector attain it. *)
Theorem frob_mul_attained m k n (x : 'cV[R]_m) (v : 'cV[R]_k) (y : 'cV[R]_n) :
  frob ((x *m v^T) *m (v *m y^T)) = frob (x *m v^T) * frob (v *m y^T).
Proof.
have -> : x *m v^T *m (v *m y^T) = normsq v *: (x *m y^T).
  rewrite -mulmxA [v^T *m _]mulmxA.
  have -> : v^T *m v = (normsq v)%:M.
    by apply/matrixP => i j; rewrite !ord1 [RHS]mxE eqxx mulr1n /normsq dotE.
  by rewrite mul_scalar_mx -scalemxAr.
apply/eqP; rewrite -(@eqr_expn2 _ 2) ?mulr_ge0 ?frob_ge0 //; apply/eqP.
rewrite exprMn !frob_sq !frobsq_outer scalemxAl frobsq_outer normsqZ.
by ring.
Qed.

(** ** The operator norm of products *)

Theorem stretch_le_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b :
  0 <= a -> stretch_le A a -> stretch_le B b -> stretch_le (A *m B) (a * b).
Proof.
move=> a0 bA bB x; rewrite -mulmxA -mulrA.
exact: le_trans (bA _) (ler_wpmul2l a0 (bB x)).
Qed.

(** The operator norm is submultiplicative. *)
Theorem norm_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_norm A a -> is_norm B b -> is_norm (A *m B) c -> c <= a * b.
Proof.
move=> [a0 bA _] [b0 bB _] [_ _ least]; apply: least; first exact: mulr_ge0.
exact: stretch_le_mul.
Qed.

Lemma norm_isometry m n (A : 'M[R]_(m, n)) a x :
  A^T *m A = (a ^+ 2)%:M -> norm (A *m x) = `|a| * norm x.
Proof.
move=> iso; rewrite /norm /normsq dot_mulmx mulmxA iso mul_scalar_mx -/(normsq _).
by rewrite dotZl sqrtrM ?sqr_ge0 // sqrtr_sqr.
Qed.

(** Products of multiples of orthogonal matrices attain it. *)
Theorem norm_mul_attained m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n.+1)) a b :
  A^T *m A = (a ^+ 2)%:M -> B^T *m B = (b ^+ 2)%:M -> is_norm (A *m B) (`|a| * `|b|).
Proof.
move=> isoA isoB.
have E x : norm (A *m B *m x) = `|a| * `|b| * norm x.
  by rewrite -mulmxA (norm_isometry _ isoA) (norm_isometry _ isoB) mulrA.
split=> [|x|d d0 bd]; rewrite ?mulr_ge0 // ?E //.
have p : 0 < norm (delta_mx 0 0 : 'cV[R]_n.+1).
  by rewrite norm_gt0; apply/eqP => /matrixP/(_ 0 0); rewrite !mxE !eqxx => /eqP; rewrite oner_eq0.
by have := bd (delta_mx 0 0); rewrite E ler_pmul2r.
Qed.

(** Transposing does not change what bounds the stretches. *)
Theorem stretch_le_tr m n (A : 'M[R]_(m, n)) c : 0 <= c -> stretch_le A c -> stretch_le A^T c.
Proof.
move=> c0 bA y; have [z|nz] := eqVneq (norm (A^T *m y)) 0.
  by rewrite z mulr_ge0 ?norm_ge0.
have p : 0 < norm (A^T *m y) by rewrite lt_neqAle eq_sym nz norm_ge0.
rewrite -(ler_pmul2l p) -expr2 norm_sq /normsq -dot_mulmx (le_trans (ler_norm _)) //.
apply: le_trans (dot_le _ _) _; rewrite mulrC mulrA ler_wpmul2r ?norm_ge0 //.
by rewrite mulrC; exact: bA.
Qed.

Theorem is_norm_tr m n (A : 'M[R]_(m, n)) c : is_norm A c -> is_norm A^T c.
Proof.
move=> [c0 bA least]; split=> // [|d d0 bd]; first exact: stretch_le_tr.
by apply: least => //; rewrite -[A]trmxK; exact: stretch_le_tr.
Qed.

Theorem is_norm_unique m n (A : 'M[R]_(m, n)) c d : is_norm A c -> is_norm A d -> c = d.
Proof. by move=> [c0 bc lc] [d0 bd ld]; apply/eqP; rewrite eq_le lc ?ld. Qed.

(** ** Products from below *)

Theorem stretch_ge_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b :
  0 <= a -> stretch_ge A a -> stretch_ge B b -> stretch_ge (A *m B) (a * b).
Proof.
move=> a0 bA bB x; rewrite -mulmxA -mulrA.
exact: le_trans (ler_wpmul2l a0 (bB x)) (bA _).
Qed.

(** The smallest stretches multiply to a lower bound. *)
Theorem smallest_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_smallest A a -> is_smallest B b -> is_smallest (A *m B) c -> a * b <= c.
Proof. by move=> [a0 bA _] [_ bB _] [_ _ most]; apply: most; exact: stretch_ge_mul. Qed.

Lemma stretch_le_divl m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a c :
  0 < a -> stretch_ge A a -> stretch_le (A *m B) c -> stretch_le B (c / a).
Proof.
move=> a0 bA bAB x; rewrite mulrAC ler_pdivl_mulr // [_ * a]mulrC.
by rewrite (le_trans (bA _)) // mulmxA.
Qed.

(** A product is at least as long as its right factor, times the smallest stretch of the left one. *)
Theorem norm_mul_below m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_smallest A a -> is_norm B b -> is_norm (A *m B) c -> a * b <= c.
Proof.
move=> [a0 bA _] [b0 bB least] [c0 bAB _]; have [->|nz] := eqVneq a 0; first by rewrite mul0r.
have p : 0 < a by rewrite lt_neqAle eq_sym nz.
by rewrite mulrC -ler_pdivl_mulr // least ?divr_ge0 //; exact: stretch_le_divl bAB.
Qed.

(** The mirror image, for a right factor that is not tall. *)
Theorem norm_mul_below_right m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_norm A a -> is_smallest B^T b -> is_norm (A *m B) c -> a * b <= c.
Proof.
move=> nA sB nAB; rewrite mulrC; apply: norm_mul_below sB (is_norm_tr nA) _.
by rewrite -trmx_mul; exact: is_norm_tr.
Qed.

Theorem frob_mul_below m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a :
  is_smallest A a -> a * frob B <= frob (A *m B).
Proof.
move=> [a0 bA _]; rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?mulr_ge0 ?frob_ge0 //.
rewrite exprMn !frob_sq mulr_sumr; apply: ler_sum => j _.
by rewrite col_mulmx -norm_ge.
Qed.

Theorem frob_mul_below_right m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) b :
  is_smallest B^T b -> frob A * b <= frob (A *m B).
Proof.
by move=> sB; rewrite mulrC -(frob_tr A) -(frob_tr (_ *m _)) trmx_mul; exact: frob_mul_below.
Qed.

(** A wide matrix annihilates something, whatever its singular values: [(1 0) (0 1)^T = 0]. *)
Theorem wide_matrix_annihilates :
  let A : 'rV[R]_2 := delta_mx 0 0 in let B : 'cV[R]_2 := delta_mx 1 0 in
  [/\ is_smallest A^T 1, is_smallest B 1 & A *m B = 0].
Proof.
have unit n (i : 'I_n.+1) : is_smallest (delta_mx i 0 : 'cV[R]_n.+1) 1.
  have E (x : 'cV[R]_1) : norm (delta_mx i 0 *m x : 'cV[R]_n.+1) = norm x.
    rewrite /norm /normsq; congr Num.sqrt; rewrite dot_mulmx mulmxA trmx_delta mul_delta_mx.
    by congr dot; apply/colP => k; rewrite ord1 mxE big_ord1 !mxE ord1 !eqxx mulr1n mul1r.
  split=> [|x|d bd]; [exact: ler01 | by rewrite mul1r E |].
  have := bd 1; rewrite E.
  have -> : norm (1 : 'cV[R]_1) = 1.
    by rewrite /norm /normsq /dot big_ord1 mxE eqxx mulr1 sqrtr1.
  by rewrite mulr1.
by split; rewrite ?trmx_delta; [exact: unit | exact: unit | rewrite mul_delta_mx_0].
Qed.
End Norms.
