(** * Certificates: the algebra that turns a computation into a proof

    A certified singular value rests on few facts, each of which lets a cheap computation prove something about an
    exact matrix: a completed Cholesky factorisation proves that a matrix is positive definite; an approximate inverse, however it was
    found, encloses the norm of the exact one; a Rayleigh quotient with a gap encloses an eigenvalue to second order.
    Here they are in exact arithmetic; what rounding adds is charged in the written proofs. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definiteness.
Variable R : rcfType.

(** The quadratic form of [A] is positive, or at least [t] times the sum of squares. *)
Definition posdef n (A : 'M[R]_n) := forall x, x != 0 -> 0 < dot x (A *m x).
Definition form_ge n (A : 'M[R]_n) (t : R) := forall x, t * normsq x <= dot x (A *m x).

Lemma gram_form m n (A : 'M[R]_(m, n)) x : dot x (A^T *m A *m x) = normsq (A *m x).
Proof. by rewrite -mulmxA dot_mulmx trmxK. Qed.

Lemma unitmx_mul_eq0 n (A : 'M[R]_n) (x : 'cV[R]_n) : A \in unitmx -> A *m x = 0 -> x = 0.
Proof. by move=> u z; rewrite -(mulKmx u x) z mulmx0. Qed.

(** A triangular factor with positive diagonal proves definiteness. *)
Theorem cholesky_posdef n (L : 'M[R]_n) :
  is_trig_mx L -> (forall i, 0 < L i i) -> posdef (L *m L^T).
Proof.
move=> trig diag x x0; rewrite -{1}[L]trmxK gram_form normsq_gt0.
apply: contra_neq x0; apply: unitmx_mul_eq0; rewrite unitmx_tr unitmxE unitfE det_trig //.
by apply/prodf_neq0 => i _; rewrite gt_eqF.
Qed.

(** A factor of a matrix nearby bounds the form from below by the distance. *)
Theorem cholesky_perturbed n (M E L : 'M[R]_n) e :
  M + E = L *m L^T -> stretch_le E e -> form_ge M (- e).
Proof.
move=> fac small x; have -> : M = L *m L^T - E by rewrite -fac addrK.
rewrite mulmxBl dotBr -{1}[L]trmxK gram_form mulNr.
apply: le_trans (_ : - dot x (E *m x) <= _); last by rewrite ler_addr normsq_ge0.
rewrite ler_opp2 -norm_sq (le_trans (ler_norm _)) // (le_trans (dot_le _ _)) //.
by rewrite expr2 mulrCA ler_wpmul2l ?norm_ge0.
Qed.

(** What is left after a shift by more than the error is definite. *)
Theorem shifted_posdef n (M : 'M[R]_n) t e : form_ge (M - t%:M) (- e) -> e < t -> posdef M.
Proof.
move=> ge et x x0; have := ge x; rewrite mulmxBl dotBr mul_scalar_mx dotZr ler_subr_addr -mulrDl.
by apply: lt_le_trans; rewrite mulr_gt0 ?normsq_gt0 // addrC subr_gt0.
Qed.

Lemma congruence_form n (S A : 'M[R]_n) x : dot x (S^T *m A *m S *m x) = dot (S *m x) (A *m (S *m x)).
Proof. by rewrite -!mulmxA dot_mulmx trmxK. Qed.

(** Scaling of rows and columns, and any other congruence, keeps definiteness and its absence. *)
Theorem congruence_posdef n (S A : 'M[R]_n) : S \in unitmx -> posdef (S^T *m A *m S) <-> posdef A.
Proof.
move=> u; split=> pd x x0; last first.
  by rewrite congruence_form pd //; apply: contra_neq x0; exact: unitmx_mul_eq0.
have := pd (invmx S *m x); rewrite congruence_form !mulKVmx //; apply.
by apply: contra_neq x0; apply: unitmx_mul_eq0; rewrite unitmx_inv.
Qed.

Lemma dot_col_mx m n (x u : 'cV[R]_m) (y v : 'cV[R]_n) :
  dot (col_mx x y) (col_mx u v) = dot x u + dot y v.
Proof.
by rewrite /dot big_split_ord; congr (_ + _); apply: eq_bigr => i _; rewrite ?col_mxEu ?col_mxEd.
Qed.

(** The form of a block matrix, completed to squares. *)
Lemma schur_form m n (A : 'M[R]_m) (B : 'M[R]_(m, n)) (C : 'M[R]_n) (x : 'cV[R]_m) (y : 'cV[R]_n) :
  A \in unitmx -> A^T = A -> let w := x + invmx A *m (B *m y) in
  dot (col_mx x y) (block_mx A B B^T C *m col_mx x y) =
    dot w (A *m w) + dot y ((C - B^T *m invmx A *m B) *m y).
Proof.
move=> u sym w; rewrite mul_block_col dot_col_mx mulmxBl -!mulmxA.
have BT z : dot y (B^T *m z) = dot (B *m y) z by rewrite dot_mulmx trmxK.
rewrite {}/w; set b := B *m y; set q := invmx A *m b.
have Aq : A *m q = b by rewrite mulKVmx.
have qA : dot q (A *m x) = dot b x by rewrite dot_mulmx sym Aq.
rewrite mulmxDr Aq !dotDr dotNr !BT -/b -/q !dotDl qA (dotC b q).
by ring.
Qed.

(** Definiteness of a block matrix is that of its first block and of the Schur complement. *)
Theorem schur_complement m n (A : 'M[R]_m) (B : 'M[R]_(m, n)) (C : 'M[R]_n) :
  A \in unitmx -> A^T = A ->
  posdef (block_mx A B B^T C) <-> posdef A /\ posdef (C - B^T *m invmx A *m B).
Proof.
move=> u sym; split=> [pd|[pA pS] z z0].
  split=> [x x0|y y0].
    have := pd (col_mx x 0); rewrite (schur_form _ _ _ _ u sym) !mulmx0 addr0 dot0l addr0; apply.
    by rewrite col_mx_eq0 (negPf x0).
  have := pd (col_mx (- (invmx A *m (B *m y))) y).
  rewrite (schur_form _ _ _ _ u sym) addNr mulmx0 dot0l add0r; apply.
  by rewrite col_mx_eq0 negb_and y0 orbT.
rewrite -[z]vsubmxK in z0 *; move: (usubmx z) (dsubmx z) z0 => x y z0.
rewrite (schur_form _ _ _ _ u sym); set w := x + _.
have nonneg k (D : 'M[R]_k) v : posdef D -> 0 <= dot v (D *m v).
  by move=> pD; have [->|v0] := eqVneq v 0; [rewrite dot0l | exact/ltW/pD].
have [y0|y0] := eqVneq y 0; last by rewrite ltr_paddl ?nonneg ?pS.
rewrite ltr_paddr ?nonneg // pA // /w y0 !mulmx0 addr0.
by move: z0; rewrite col_mx_eq0 y0 eqxx andbT.
Qed.

(** ** A gap by deflation *)

(** If [mu - G + s v v^T] is almost positive semidefinite, whatever [v] is, then [G] has at most
    one eigenvalue above [mu + t]: of two orthonormal eigenvectors one has a smaller eigenvalue. *)
Theorem deflated_gap n (G : 'M[R]_n) (v u1 u2 : 'cV[R]_n) mu s t l1 l2 :
  form_ge (mu%:M - G + s *: (v *m v^T)) (- t) ->
  normsq u1 = 1 -> normsq u2 = 1 -> dot u1 u2 = 0 ->
  G *m u1 = l1 *: u1 -> G *m u2 = l2 *: u2 -> l1 <= mu + t \/ l2 <= mu + t.
Proof.
move=> ge n1 n2 o12 e1 e2.
have [a [b [ab orth]]] : exists a b, 0 < a ^+ 2 + b ^+ 2 /\ dot v (a *: u1 + b *: u2) = 0.
  have [z1|z1] := eqVneq (dot v u1) 0.
    exists 1, 0; rewrite dotDr !dotZr z1 mulr0 mul0r addr0; split=> //.
    by rewrite expr1n expr0n addr0 ltr01.
  exists (dot v u2), (- dot v u1); rewrite dotDr !dotZr mulNr mulrC subrr; split=> //.
  by rewrite ltr_paddl ?sqr_ge0 // sqrrN lt_neqAle eq_sym sqrf_eq0 z1 sqr_ge0.
set x := a *: u1 + b *: u2 in orth.
have nx : normsq x = a ^+ 2 + b ^+ 2.
  by rewrite normsqD !normsqZ dotZl dotZr n1 n2 o12 !mulr0 addr0 !mulr1.
have gx : dot x (G *m x) = a ^+ 2 * l1 + b ^+ 2 * l2.
  rewrite /x mulmxDr -!scalemxAr e1 e2 !dotDr !dotDl !dotZr !dotZl (dotC u2 u1) o12.
  by rewrite -!/(normsq _) n1 n2; ring.
have px : dot x (v *m v^T *m x) = 0.
  have -> : v *m v^T *m x = 0.
    rewrite -mulmxA; have -> : v^T *m x = 0 by apply/matrixP => i j; rewrite !ord1 -dotE orth mxE.
    by rewrite mulmx0.
  exact: dot0r.
have := ge x; rewrite mulmxDl mulmxBl -scalemxAl dotDr dotBr dotZr px mulr0 addr0.
rewrite mul_scalar_mx dotZr -/(normsq x) gx nx => le.
have [|l1big] := lerP l1 (mu + t); first by left.
have [|l2big] := lerP l2 (mu + t); first by right.
have: 0 < (l1 - (mu + t)) * a ^+ 2 + (l2 - (mu + t)) * b ^+ 2.
  have p1 : 0 < l1 - (mu + t) by rewrite subr_gt0.
  have p2 : 0 < l2 - (mu + t) by rewrite subr_gt0.
  have [a0|a0] := eqVneq a 0.
    by move: ab; rewrite a0 expr0n /= mulr0 !add0r => b0; rewrite mulr_gt0.
  apply: ltr_paddr; first by rewrite mulr_ge0 ?sqr_ge0 ?(ltW p2).
  rewrite mulr_gt0 //.
  by rewrite lt_neqAle eq_sym sqrf_eq0 a0 sqr_ge0.
rewrite ltNge -oppr_ge0; case/negP; move: le; rewrite -subr_ge0; congr (0 <= _).
by ring.
Qed.

(** The mirror image: at most one eigenvalue below [mu - t]. *)
Theorem deflated_gap_below n (G : 'M[R]_n) (v u1 u2 : 'cV[R]_n) mu s t l1 l2 :
  form_ge (G - mu%:M + s *: (v *m v^T)) (- t) ->
  normsq u1 = 1 -> normsq u2 = 1 -> dot u1 u2 = 0 ->
  G *m u1 = l1 *: u1 -> G *m u2 = l2 *: u2 -> mu - t <= l1 \/ mu - t <= l2.
Proof.
move=> ge n1 n2 o12 e1 e2.
have N (u : 'cV[R]_n) l : G *m u = l *: u -> - G *m u = (- l) *: u by move=> e; rewrite mulNmx e scaleNr.
have ge' : form_ge ((- mu)%:M - - G + s *: (v *m v^T)) (- t).
  by have -> : (- mu)%:M - - G = G - mu%:M by rewrite opprK addrC raddfN.
have [le|le] := deflated_gap ge' n1 n2 o12 (N _ _ e1) (N _ _ e2); [left | right];
  by rewrite -ler_opp2 opprB addrC.
Qed.

(** ** Kato and Temple *)

(** Columns of [Q] are orthonormal eigenvectors of [G], with eigenvalues [d]. *)
Definition eigenbasis n (G Q : 'M[R]_n) (d : 'I_n -> R) :=
  Q^T *m Q = 1%:M /\ G *m Q = Q *m diag_mx (\row_i d i).

(** The Rayleigh quotient and the squared residual. *)
Definition rayleigh n (G : 'M[R]_n) v : R := dot v (G *m v) / normsq v.
Definition residual_sq n (G : 'M[R]_n) v : R := normsq (G *m v - rayleigh G v *: v) / normsq v.

Lemma eigenbasis_sums n (G Q : 'M[R]_n) d v : eigenbasis G Q d -> let w := Q^T *m v in
  [/\ normsq v = \sum_i w i 0 ^+ 2, dot v (G *m v) = \sum_i d i * w i 0 ^+ 2
    & normsq (G *m v) = \sum_i d i ^+ 2 * w i 0 ^+ 2].
Proof.
move=> [orth eig] w; have vE : v = Q *m w by rewrite /w mulmxA (mulmx1C orth) mul1mx.
have iso (y z : 'cV[R]_n) : dot (Q *m y) (Q *m z) = dot y z by rewrite dot_mulmx mulmxA orth mul1mx.
have GvE : G *m v = Q *m (diag_mx (\row_i d i) *m w) by rewrite [in LHS]vE mulmxA eig mulmxA.
have DE i : (diag_mx (\row_i d i) *m w) i 0 = d i * w i 0 by rewrite mul_diag_mx !mxE.
split.
- by rewrite {1}vE /normsq iso; apply: eq_bigr => i _; rewrite expr2.
- by rewrite GvE {1}vE iso; apply: eq_bigr => i _; rewrite DE mulrCA expr2.
- by rewrite GvE /normsq iso; apply: eq_bigr => i _; rewrite DE -expr2 exprMn.
Qed.

Lemma residual_sqE n (G : 'M[R]_n) v : v != 0 ->
  residual_sq G v = normsq (G *m v) / normsq v - rayleigh G v ^+ 2.
Proof.
move=> v0; have p : normsq v != 0 by rewrite normsq_eq0.
by rewrite /residual_sq normsqB normsqZ dotZr dotC /rayleigh; field.
Qed.

(** A Rayleigh quotient above all eigenvalues but the largest encloses that one, to second order. *)
Theorem kato_temple_largest n (G Q : 'M[R]_n) d v L mu :
  eigenbasis G Q d -> (forall i, d i <= L) -> (forall i, d i = L \/ d i <= mu) -> v != 0 ->
  mu < rayleigh G v ->
  rayleigh G v <= L /\ L <= rayleigh G v + residual_sq G v / (rayleigh G v - mu).
Proof.
move=> basis top gap v0 above; have [nv gv ggv] := eigenbasis_sums v basis.
move: (Q^T *m v) nv gv ggv => w nv gv ggv.
have p : 0 < normsq v by rewrite normsq_gt0.
have below : rayleigh G v <= L.
  rewrite ler_pdivr_mulr // gv nv mulr_sumr; apply: ler_sum => i _.
  by rewrite ler_wpmul2r ?sqr_ge0.
split=> //; rewrite addrC -ler_subl_addr ler_pdivl_mulr ?subr_gt0 // residual_sqE // -subr_ge0.
have muL : mu <= L by exact: le_trans (ltW above) below.
have: 0 <= \sum_i (d i - L) * (d i - mu) * w i 0 ^+ 2.
  apply: sumr_ge0 => i _; rewrite mulr_ge0 ?sqr_ge0 //.
  have [->|le] := gap i; first by rewrite subrr mul0r.
  by rewrite mulr_le0 // subr_le0.
have -> : \sum_i (d i - L) * (d i - mu) * w i 0 ^+ 2 =
    normsq (G *m v) - (L + mu) * dot v (G *m v) + L * mu * normsq v.
  rewrite ggv gv nv !mulr_sumr -sumrB -big_split; apply: eq_bigr => i _ /=.
  by ring.
rewrite -(pmulr_lge0 _ (_ : 0 < (normsq v)^-1)) ?invr_gt0 // => le.
apply: le_trans le _; rewrite le_eqVlt; apply/orP; left; apply/eqP.
have p0 : normsq v != 0 by rewrite gt_eqF.
by rewrite /rayleigh; field.
Qed.

(** If [mu] and [L] are the only eigenvalues the enclosure is an equality. *)
Theorem kato_temple_attained n (G Q : 'M[R]_n) d v L mu :
  eigenbasis G Q d -> (forall i, d i = L \/ d i = mu) -> v != 0 -> mu < rayleigh G v ->
  L = rayleigh G v + residual_sq G v / (rayleigh G v - mu).
Proof.
move=> basis two v0 above; have [nv gv ggv] := eigenbasis_sums v basis.
move: (Q^T *m v) nv gv ggv => w nv gv ggv.
have p0 : normsq v != 0 by rewrite normsq_eq0.
have: normsq (G *m v) - (L + mu) * dot v (G *m v) + L * mu * normsq v = 0.
  rewrite ggv gv nv !mulr_sumr -sumrB -big_split big1 // => i _ /=.
  by have [->|->] := two i; ring.
have q0 : rayleigh G v - mu != 0 by rewrite gt_eqF // subr_gt0.
have gE : dot v (G *m v) = rayleigh G v * normsq v by rewrite /rayleigh divfK.
rewrite residual_sqE // gE => zero.
have nE : normsq (G *m v) = ((L + mu) * rayleigh G v - L * mu) * normsq v.
  by apply/eqP; rewrite -subr_eq0 -zero; apply/eqP; ring.
by rewrite nE mulfK //; field.
Qed.

(** The mirror image at the smallest eigenvalue. *)
Theorem kato_temple_smallest n (G Q : 'M[R]_n) d v l mu :
  eigenbasis G Q d -> (forall i, l <= d i) -> (forall i, d i = l \/ mu <= d i) -> v != 0 ->
  rayleigh G v < mu ->
  rayleigh G v - residual_sq G v / (mu - rayleigh G v) <= l /\ l <= rayleigh G v.
Proof.
move=> [orth eig] bottom gap v0 below.
have rN : rayleigh (- G) v = - rayleigh G v by rewrite /rayleigh mulNmx dotNr mulNr.
have eN : residual_sq (- G) v = residual_sq G v.
  by rewrite /residual_sq rN mulNmx scaleNr -opprD normsqN.
have basis : eigenbasis (- G) Q (fun i => - d i).
  split=> //; rewrite mulNmx eig -mulmxN; congr (_ *m _).
  by apply/matrixP => i j; rewrite !mxE mulNrn.
have [|i|||lo hi] := kato_temple_largest (L := - l) (mu := - mu) (v := v) basis.
- by move=> i; rewrite ler_opp2.
- by have [->|le] := gap i; [left | right; rewrite ler_opp2].
- by [].
- by rewrite rN ltr_opp2.
move: lo hi; rewrite rN eN ler_opp2 opprK [- _ + mu]addrC => -> hi; split=> //.
by rewrite -ler_opp2 opprB addrC.
Qed.
(** ** Eigenvalues and singular values *)

Lemma eigenbasis_norms n (G Q : 'M[R]_n) d v : eigenbasis G Q d ->
  norm v ^+ 2 = \sum_i (Q^T *m v) i 0 ^+ 2 /\ norm (G *m v) ^+ 2 = \sum_i d i ^+ 2 * (Q^T *m v) i 0 ^+ 2.
Proof. by move=> /(eigenbasis_sums v) [nv _ ggv]; rewrite !norm_sq. Qed.

Lemma eigenvector_norm n (G Q : 'M[R]_n) d i : eigenbasis G Q d ->
  norm (col i Q) = 1 /\ G *m (col i Q) = d i *: (col i Q).
Proof.
rewrite colE; move=> [orth eig]; split.
  rewrite /norm /normsq dot_mulmx mulmxA orth mul1mx /dot (bigD1 i) //= big1 => [|j /negPf ji].
    by rewrite !mxE !eqxx mulr1 addr0 sqrtr1.
  by rewrite !mxE ji mul0r.
rewrite mulmxA eig -mulmxA scalemxAr; congr (_ *m _); apply/matrixP => j k.
by rewrite mul_diag_mx !mxE; case: eqVneq => [->|]; rewrite ?mulr0.
Qed.

(** Non-negative eigenvalues are singular values: the extreme ones are the extreme stretches. *)
Theorem eigenvalues_are_stretches n (G Q : 'M[R]_n) d i j :
  eigenbasis G Q d -> (forall k, 0 <= d k) -> (forall k, d k <= d i) -> (forall k, d j <= d k) ->
  is_norm G (d i) /\ is_smallest G (d j).
Proof.
move=> basis d0 top bottom; have sq x := eigenbasis_norms x basis.
have [ni Gi] := eigenvector_norm i basis; have [nj Gj] := eigenvector_norm j basis.
have compare (a b : R) : 0 <= a -> 0 <= b -> (a ^+ 2 <= b ^+ 2) = (a <= b).
  by move=> a0 b0; rewrite ler_pexpn2r ?nnegrE.
split.
  split=> [|x|c c0 bc]; first exact: d0.
    rewrite -compare ?mulr_ge0 ?norm_ge0 // exprMn; have [-> ->] := sq x.
    by rewrite mulr_sumr; apply: ler_sum => k _; rewrite ler_wpmul2r ?sqr_ge0 // compare.
  by have := bc (col i Q); rewrite Gi normZ ni !mulr1 ger0_norm.
split=> [|x|c bc]; first exact: d0.
  rewrite -compare ?mulr_ge0 ?norm_ge0 // exprMn; have [-> ->] := sq x.
  by rewrite mulr_sumr; apply: ler_sum => k _; rewrite ler_wpmul2r ?sqr_ge0 // compare.
by have := bc (col j Q); rewrite Gj normZ nj !mulr1 ger0_norm.
Qed.

(** A shift moves all eigenvalues, and makes them non-negative if it is large enough. *)
Theorem shifted_eigenbasis n (G Q : 'M[R]_n) d c :
  eigenbasis G Q d -> eigenbasis (G + c%:M) Q (fun i => d i + c).
Proof.
move=> [orth eig]; split=> //; rewrite mulmxDl eig mul_scalar_mx -mul_mx_scalar -mulmxDr; congr (_ *m _).
by apply/matrixP => i j; rewrite !mxE -mulrnDl.
Qed.

Theorem eigenvalue_le_norm n (G Q : 'M[R]_n) d c i : eigenbasis G Q d -> stretch_le G c -> 0 <= d i + c.
Proof.
move=> basis bG; have [n1 Gi] := eigenvector_norm i basis.
have := bG (col i Q); rewrite Gi normZ n1 !mulr1 ler_norml => /andP [le _].
by rewrite -ler_subl_addr sub0r.
Qed.
End Definiteness.
