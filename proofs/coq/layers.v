(** * Layers: pooling, zero padding and normalization as matrices

    Layers without weights have norms too.  Pooling stretches by at most the root of the number of windows that share an
    entry; a convolution with zeros around it is part of one on a larger torus and stretches no more than
    that; normalization divides by the spread and annihilates, but for [eps], the direction of its input. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms entries.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Layers.
Variable R : rcfType.

(** ** Pooling *)

(** Averages over windows of [size] entries, and the Jacobian of maxima, each taken at an entry [f i]. *)
Definition average_pooling m n (w : 'I_m -> {set 'I_n}) (size : nat) : 'M[R]_(m, n) :=
  \matrix_(i, j) if j \in w i then size%:R^-1 else 0.
Definition max_pooling m n (f : 'I_m -> 'I_n) : 'M[R]_(m, n) := \matrix_(i, j) (f i == j)%:R.

Lemma sum_indicator (I : finType) (P : pred I) (c : R) : \sum_i (if P i then c else 0) = c *+ #|P|.
Proof. by rewrite -big_mkcond sumr_const. Qed.

Theorem average_pooling_norm m n (w : 'I_m -> {set 'I_n}) size c :
  (0 < size)%N -> (forall i, #|w i| = size) -> (forall j, (#|[pred i | j \in w i]| <= c)%N) ->
  stretch_le (average_pooling w size) (Num.sqrt (c%:R / size%:R)).
Proof.
move=> s0 windows overlap; have p : 0 < size%:R^-1 :> R by rewrite invr_gt0 ltr0n.
have E i j : `|average_pooling w size i j| = if j \in w i then size%:R^-1 else 0.
  by rewrite mxE; case: ifP => _; rewrite ?normr0 // ger0_norm // ltW.
rewrite -[c%:R / _]mulr1; apply: norm_by_sums => [||i|j]; rewrite ?ler01 //.
- by rewrite divr_ge0 ?ler0n.
- under eq_bigr do rewrite E; rewrite (sum_indicator (fun j => j \in w i)).
  have -> : #|(fun j => j \in w i)| = size by rewrite -(windows i); apply: eq_card.
  by rewrite -[X in X <= _]mulr_natr mulVf // pnatr_eq0 -lt0n.
- under eq_bigr do rewrite E; rewrite (sum_indicator (fun i => j \in w i)) -[X in X <= _]mulr_natl.
  by rewrite ler_wpmul2r ?(ltW p) // ler_nat overlap.
Qed.

(** Windows that do not overlap: every stretch of the transpose is exactly the root of [1 / size]. *)
Theorem average_pooling_disjoint m n (w : 'I_m -> {set 'I_n}) size :
  (0 < size)%N -> (forall i, #|w i| = size) -> (forall i k, i != k -> [disjoint w i & w k]) ->
  average_pooling w size *m (average_pooling w size)^T = (size%:R^-1)%:M.
Proof.
move=> s0 windows disj; apply/matrixP => i k; rewrite !mxE.
under eq_bigr do rewrite !mxE; have [->|ik] := eqVneq i k.
  rewrite (eq_bigr (fun j => if j \in w k then size%:R^-1 ^+ 2 else 0)) => [|j _]; last first.
    by case: ifP => _; rewrite ?mul0r ?expr2.
  rewrite (sum_indicator (fun j => j \in w k)); have -> : #|(fun j => j \in w k)| = size.
    by rewrite -(windows k); apply: eq_card.
  by rewrite mulr1n expr2 -mulrnAr -[X in _ * X]mulr_natr mulVf ?mulr1 // pnatr_eq0 -lt0n.
rewrite mulr0n big1 // => j _; case: ifP => inw; last by rewrite mul0r.
by rewrite (disjointFr (disj _ _ ik) inw) mulr0.
Qed.

Theorem max_pooling_norm m n (f : 'I_m -> 'I_n) c :
  (forall j, (#|[pred i | f i == j]| <= c)%N) -> stretch_le (max_pooling f) (Num.sqrt c%:R).
Proof.
move=> overlap; rewrite -[c%:R]mulr1; apply: norm_by_sums => [||i|j]; rewrite ?ler01 ?ler0n //.
  rewrite (bigD1 (f i)) //= mxE eqxx normr1 big1 ?addr0 // => j /negPf ne.
  by rewrite mxE eq_sym ne normr0.
rewrite (eq_bigr (fun i => if f i == j then 1 else 0)) => [|i _]; last by rewrite mxE normr_nat; case: eqP.
by rewrite (sum_indicator (fun i => f i == j)) ler_nat overlap.
Qed.

(** ** Submatrices *)

(** A submatrix stretches no more than the matrix. *)
Theorem submatrix_norm m n m' n' (A : 'M[R]_(m, n)) (f : 'I_m' -> 'I_m) (g : 'I_n' -> 'I_n) c :
  injective f -> injective g -> stretch_le A c -> stretch_le (mxsub f g A) c.
Proof.
move=> finj ginj bA x.
pose z : 'cV[R]_n := \col_j \sum_(i | g i == j) x i 0.
have zg i : z (g i) 0 = x i 0.
  by rewrite mxE (eq_bigl (pred1 i)) ?big_pred1_eq // => k; rewrite (inj_eq ginj).
have spread (h : 'I_n -> R) (e : 'I_n' -> R) : (forall i, h (g i) = e i) ->
    (forall j, (forall i, g i != j) -> h j = 0) -> \sum_j h j = \sum_i e i.
  move=> on off; rewrite (bigID (mem (g @: [set: 'I_n']))) /= [X in _ + X]big1 ?addr0 => [|j nj].
    rewrite big_imset /=; last by move=> i k _ _; exact: ginj.
    by apply: eq_big => [i|i _]; rewrite ?inE ?on.
  by apply: off => i; apply: contraNneq nj => <-; rewrite imset_f ?inE.
have z0 j : (forall i, g i != j) -> z j 0 = 0 by move=> nj; rewrite mxE big1 // => i /eqP E; have := nj i; rewrite E eqxx.
have nz : norm z = norm x.
  by rewrite /norm; congr Num.sqrt; apply: spread => [i|j nj]; rewrite ?zg // z0 ?mul0r.
have Az i : (A *m z) (f i) 0 = (mxsub f g A *m x) i 0.
  by rewrite mxE [RHS]mxE; apply: spread => [k|j nj]; [rewrite zg mxE | rewrite z0 ?mulr0].
rewrite -nz; apply: le_trans (bA z); rewrite ler_wsqrtr // /normsq /dot.
under eq_bigr do rewrite -Az.
rewrite [X in _ <= X](bigID (mem (f @: [set: 'I_m']))) /= big_imset /=; last by move=> i k _ _; exact: finj.
rewrite [X in _ <= X + _](eq_bigl predT) => [|i]; last by rewrite inE.
by rewrite ler_addl; apply: sumr_ge0 => k _; rewrite -expr2 sqr_ge0.
Qed.

(** ** Normalization *)

(** The Jacobian of RMS normalization [x / r] at [x], where [r ^ 2] is the mean square plus [eps]. *)
Definition rms_jacobian n (x : 'cV[R]_n) (r : R) : 'M[R]_n :=
  r^-1 *: (1%:M - (n%:R * r ^+ 2)^-1 *: (x *m x^T)).

Lemma outer_mul n (x y : 'cV[R]_n) : x *m x^T *m y = dot x y *: x.
Proof.
rewrite -mulmxA; have -> : x^T *m y = (dot x y)%:M by apply/matrixP => i j; rewrite !ord1 -dotE mxE eqxx mulr1n.
by rewrite mul_mx_scalar.
Qed.

Lemma rms_jacobianE n (x y : 'cV[R]_n) r :
  rms_jacobian x r *m y = r^-1 *: (y - (n%:R * r ^+ 2)^-1 *: (dot x y *: x)).
Proof. by rewrite /rms_jacobian -scalemxAl mulmxBl mul1mx -scalemxAl outer_mul. Qed.

(** Orthogonal to the input it divides by [r]. *)
Theorem rms_jacobian_orthogonal n (x y : 'cV[R]_n) r : dot x y = 0 -> rms_jacobian x r *m y = r^-1 *: y.
Proof. by move=> orth; rewrite rms_jacobianE orth scale0r scaler0 subr0. Qed.

(** Along the input almost nothing is left. *)
Theorem rms_jacobian_along n (x : 'cV[R]_n.+1) r eps : r != 0 -> r ^+ 2 = normsq x / n.+1%:R + eps ->
  rms_jacobian x r *m x = (eps / r ^+ 3) *: x.
Proof.
move=> r0 rE; rewrite rms_jacobianE scalerA -[x in x - _]scale1r -scalerBl scalerA; congr (_ *: _).
have n0 : n.+1%:R != 0 :> R by rewrite pnatr_eq0.
have -> : dot x x = (r ^+ 2 - eps) * n.+1%:R by rewrite rE addrK divfK.
by move: (n.+1%:R) n0 => c n0; field; rewrite r0.
Qed.
End Layers.
