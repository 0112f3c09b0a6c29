(** * Vectors: inner products, lengths, and the inequality of Cauchy and Schwarz

    What a network multiplies and what backpropagation pairs: column vectors of any width over an
    ordered field.  Lengths need square roots, so they live over a real closed field, of which the
    real numbers are one. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** ** Inner products over any commutative ring *)

Section Dot.
Variable R : comRingType.

(** The inner product of two columns. *)
Definition dot n (u v : 'cV[R]_n) : R := \sum_i u i 0 * v i 0.

(** The sum of squares of a column. *)
Definition normsq n (u : 'cV[R]_n) : R := dot u u.

Lemma dotE n (u v : 'cV[R]_n) : dot u v = (u^T *m v) 0 0.
Proof. by rewrite mxE; apply: eq_bigr => i _; rewrite mxE. Qed.

Lemma dotC n (u v : 'cV[R]_n) : dot u v = dot v u.
Proof. by apply: eq_bigr => i _; rewrite mulrC. Qed.

Lemma dotDr n (u v w : 'cV[R]_n) : dot u (v + w) = dot u v + dot u w.
Proof. by rewrite -big_split; apply: eq_bigr => i _; rewrite mxE mulrDr. Qed.

Lemma dotDl n (u v w : 'cV[R]_n) : dot (u + v) w = dot u w + dot v w.
Proof. by rewrite dotC dotDr !(dotC w). Qed.

Lemma dotZr n a (u v : 'cV[R]_n) : dot u (a *: v) = a * dot u v.
Proof. by rewrite mulr_sumr; apply: eq_bigr => i _; rewrite mxE mulrCA. Qed.

Lemma dotZl n a (u v : 'cV[R]_n) : dot (a *: u) v = a * dot u v.
Proof. by rewrite dotC dotZr dotC. Qed.

Lemma dotNr n (u v : 'cV[R]_n) : dot u (- v) = - dot u v.
Proof. by rewrite -scaleN1r dotZr mulN1r. Qed.

Lemma dotNl n (u v : 'cV[R]_n) : dot (- u) v = - dot u v.
Proof. by rewrite dotC dotNr dotC. Qed.

Lemma dotBr n (u v w : 'cV[R]_n) : dot u (v - w) = dot u v - dot u w.
Proof. by rewrite dotDr dotNr. Qed.

Lemma dotBl n (u v w : 'cV[R]_n) : dot (u - v) w = dot u w - dot v w.
Proof. by rewrite dotDl dotNl. Qed.

Lemma dot0r n (u : 'cV[R]_n) : dot u 0 = 0.
Proof. by rewrite -[0](scale0r 0) dotZr mul0r. Qed.

Lemma dot0l n (u : 'cV[R]_n) : dot 0 u = 0.
Proof. by rewrite dotC dot0r. Qed.

(** Moving a matrix to the other side of an inner product transposes it. *)
Lemma dot_mulmx m n (A : 'M[R]_(m, n)) (u : 'cV[R]_m) (v : 'cV[R]_n) :
  dot u (A *m v) = dot (A^T *m u) v.
Proof. by rewrite !dotE trmx_mul trmxK mulmxA. Qed.

Lemma normsqD n (u v : 'cV[R]_n) : normsq (u + v) = normsq u + 2%:R * dot u v + normsq v.
Proof.
by rewrite /normsq dotDl !dotDr (dotC v u) mulr_natl mulr2n !addrA.
Qed.

Lemma normsqN n (u : 'cV[R]_n) : normsq (- u) = normsq u.
Proof. by rewrite /normsq dotNl dotNr opprK. Qed.

Lemma normsqB n (u v : 'cV[R]_n) : normsq (u - v) = normsq u - 2%:R * dot u v + normsq v.
Proof. by rewrite normsqD normsqN dotNr mulrN. Qed.

Lemma normsqZ n a (u : 'cV[R]_n) : normsq (a *: u) = a ^+ 2 * normsq u.
Proof. by rewrite /normsq dotZl dotZr mulrA expr2. Qed.

Lemma normsq0 n : normsq (0 : 'cV[R]_n) = 0.
Proof. exact: dot0r. Qed.
End Dot.

(** ** Squared lengths over an ordered field *)

Section Ordered.
Variable R : realFieldType.

Lemma normsq_ge0 n (u : 'cV[R]_n) : 0 <= normsq u.
Proof. by apply: sumr_ge0 => i _; rewrite -expr2 sqr_ge0. Qed.

Lemma normsq_eq0 n (u : 'cV[R]_n) : (normsq u == 0) = (u == 0).
Proof.
apply/idP/eqP => [|->]; last by rewrite normsq0.
rewrite psumr_eq0 => [/allP z|i _]; last by rewrite -expr2 sqr_ge0.
apply/matrixP => i j; rewrite ord1 mxE.
by have := z i (mem_index_enum _); rewrite -expr2 sqrf_eq0 => /eqP.
Qed.

Lemma normsq_gt0 n (u : 'cV[R]_n) : (0 < normsq u) = (u != 0).
Proof. by rewrite lt_neqAle eq_sym normsq_eq0 normsq_ge0 andbT. Qed.

(** Cauchy-Schwarz, without square roots. *)
Lemma dot_sq_le n (u v : 'cV[R]_n) : dot u v ^+ 2 <= normsq u * normsq v.
Proof.
have [->|v0] := eqVneq v 0; first by rewrite dot0r expr0n normsq0 mulr0.
have p : 0 < normsq v by rewrite normsq_gt0.
have: 0 <= normsq (normsq v *: u - dot u v *: v) by exact: normsq_ge0.
rewrite normsqB !normsqZ dotZl dotZr.
set s := normsq u; set t := normsq v; set d := dot u v.
have -> : t ^+ 2 * s - 2%:R * (t * (d * d)) + d ^+ 2 * t = t * (s * t - d ^+ 2).
  by ring.
by rewrite pmulr_rge0 // subr_ge0.
Qed.
End Ordered.

(** ** Lengths over a real closed field *)

Section Length.
Variable R : rcfType.

(** The Euclidean length of a column. *)
Definition norm n (u : 'cV[R]_n) : R := Num.sqrt (normsq u).

Lemma norm_ge0 n (u : 'cV[R]_n) : 0 <= norm u.
Proof. exact: sqrtr_ge0. Qed.

Lemma norm_sq n (u : 'cV[R]_n) : norm u ^+ 2 = normsq u.
Proof. by rewrite sqr_sqrtr ?normsq_ge0. Qed.

Lemma norm0 n : norm (0 : 'cV[R]_n) = 0.
Proof. by rewrite /norm normsq0 sqrtr0. Qed.

Lemma norm_eq0 n (u : 'cV[R]_n) : (norm u == 0) = (u == 0).
Proof. by rewrite -sqrf_eq0 norm_sq normsq_eq0. Qed.

Lemma norm_gt0 n (u : 'cV[R]_n) : (0 < norm u) = (u != 0).
Proof. by rewrite lt_neqAle eq_sym norm_eq0 norm_ge0 andbT. Qed.

Lemma normZ n a (u : 'cV[R]_n) : norm (a *: u) = `|a| * norm u.
Proof. by rewrite /norm normsqZ sqrtrM ?sqr_ge0 // sqrtr_sqr. Qed.

Lemma normN n (u : 'cV[R]_n) : norm (- u) = norm u.
Proof. by rewrite /norm normsqN. Qed.

(** Lengths compare as their squares do. *)
Lemma norm_le n m (u : 'cV[R]_n) (v : 'cV[R]_m) c : 0 <= c ->
  (norm u <= c * norm v) = (normsq u <= c ^+ 2 * normsq v).
Proof.
by move=> c0; rewrite -!norm_sq -exprMn ler_pexpn2r // nnegrE ?mulr_ge0 ?norm_ge0.
Qed.

Lemma norm_ge n m (u : 'cV[R]_n) (v : 'cV[R]_m) c : 0 <= c ->
  (c * norm v <= norm u) = (c ^+ 2 * normsq v <= normsq u).
Proof.
by move=> c0; rewrite -!norm_sq -exprMn ler_pexpn2r // nnegrE ?mulr_ge0 ?norm_ge0.
Qed.

(** The inequality of Cauchy and Schwarz. *)
Lemma dot_le n (u v : 'cV[R]_n) : `|dot u v| <= norm u * norm v.
Proof.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?mulr_ge0 ?norm_ge0 ?normr_ge0 //.
by rewrite exprMn !norm_sq real_normK ?num_real // dot_sq_le.
Qed.

Lemma normD n (u v : 'cV[R]_n) : norm (u + v) <= norm u + norm v.
Proof.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?addr_ge0 ?norm_ge0 //.
rewrite norm_sq normsqD sqrrD !norm_sq ler_add2r ler_add2l mulr_natl !mulr2n.
by apply: ler_add; apply: (le_trans (ler_norm _)); apply: dot_le.
Qed.

Lemma normB n (u v : 'cV[R]_n) : norm u - norm v <= norm (u - v).
Proof. by rewrite ler_subl_addr (le_trans _ (normD _ _)) // subrK. Qed.
End Length.
