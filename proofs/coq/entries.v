(** * Entries: what absolute values and eigenvalues say about the stretches of a layer

    A certificate has to be computed, and absolute values of entries are what a program has.  With any
    positive weights they bound the operator norm (the test of Schur; Collatz and Wielandt for the
    best weights), and with all weights 1 this is the root of the largest row sum times the largest column sum.
    Eigenvalues, on the other hand, say nothing about products: two layers without any eigenvalue but 0
    can multiply a gradient by as much as they like.  Power iteration gives lower bounds, which improve. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Entries.
Variable R : rcfType.

Lemma cauchy_schwarz_weights n (a x p : 'I_n -> R) : (forall j, 0 < p j) ->
  (\sum_j a j * x j) ^+ 2 <= (\sum_j `|a j| * p j) * (\sum_j `|a j| * (x j ^+ 2 / p j)).
Proof.
move=> p0.
pose u : 'cV[R]_n := \col_j Num.sqrt (`|a j| * p j).
pose v : 'cV[R]_n := \col_j (Num.sg (a j) * x j * Num.sqrt (`|a j| / p j)).
have nn j : 0 <= `|a j| * p j by rewrite mulr_ge0 // ltW.
have nd j : 0 <= `|a j| / p j by rewrite divr_ge0 // ltW.
have -> : \sum_j a j * x j = dot u v.
  apply: eq_bigr => j _; rewrite !mxE mulrC -!mulrA -sqrtrM //.
  have -> : `|a j| / p j * (`|a j| * p j) = `|a j| ^+ 2 by have := lt0r_neq0 (p0 j) => ?; field.
  by rewrite sqrtr_sqr normr_id mulrCA -numEsg mulrC.
have -> : \sum_j `|a j| * p j = normsq u.
  by apply: eq_bigr => j _; rewrite !mxE -expr2 sqr_sqrtr.
apply: le_trans (dot_sq_le _ _) _; rewrite ler_wpmul2l ?normsq_ge0 //.
apply: ler_sum => j _; rewrite !mxE -expr2 !exprMn sqr_sqrtr //.
have -> : Num.sg (a j) ^+ 2 * x j ^+ 2 * (`|a j| / p j) =
    Num.sg (a j) ^+ 2 * (`|a j| * (x j ^+ 2 / p j)) by ring.
have sq1 : Num.sg (a j) ^+ 2 <= 1 by rewrite sqr_sg lern1 leq_b1.
apply: ler_pimull sq1; rewrite mulr_ge0 ?divr_ge0 ?sqr_ge0 //.
exact: ltW.
Qed.

(** Schur's test with the weights [p]. *)
Theorem schur_test m n (A : 'M[R]_(m, n)) (p : 'I_n -> R) r :
  (forall j, 0 < p j) ->
  (forall j, \sum_i `|A i j| * (\sum_k `|A i k| * p k) <= r * p j) ->
  0 <= r -> stretch_le A (Num.sqrt r).
Proof.
move=> p0 bound r0 x; rewrite norm_le ?sqrtr_ge0 // sqr_sqrtr //.
apply: (@le_trans _ _ (\sum_i (\sum_k `|A i k| * p k) * (\sum_j `|A i j| * (x j 0 ^+ 2 / p j)))).
  by apply: ler_sum => i _; rewrite mxE -expr2; exact: cauchy_schwarz_weights.
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big mulr_sumr; apply: ler_sum => j _ /=.
rewrite (eq_bigr (fun i => `|A i j| * (\sum_k `|A i k| * p k) * (x j 0 ^+ 2 / p j))); last first.
  by move=> i _; rewrite mulrA [X in X * _]mulrC.
rewrite -mulr_suml -expr2 mulrA ler_pdivr_mulr // mulrAC ler_wpmul2r ?sqr_ge0 //.
Qed.

(** The square of the norm is at most the largest row sum times the largest column sum. *)
Theorem norm_by_sums m n (A : 'M[R]_(m, n)) r c :
  0 <= r -> 0 <= c -> (forall i, \sum_j `|A i j| <= r) -> (forall j, \sum_i `|A i j| <= c) ->
  stretch_le A (Num.sqrt (c * r)).
Proof.
move=> r0 c0 rows cols; apply: (@schur_test _ _ _ (fun=> 1)) => [j|j|]; rewrite ?ltr01 ?mulr_ge0 //.
apply: (@le_trans _ _ (\sum_i `|A i j| * r)).
  apply: ler_sum => i _; rewrite ler_wpmul2l //.
  by under eq_bigr do rewrite mulr1.
by rewrite -mulr_suml mulr1 ler_wpmul2r.
Qed.

(** Equality: a non-negative matrix with equal row sums and equal column sums. *)
Theorem norm_by_sums_attained m n (A : 'M[R]_(m, n.+1)) r c :
  (forall i j, 0 <= A i j) -> 0 <= r -> 0 <= c ->
  (forall i, \sum_j A i j = r) -> (forall j, \sum_i A i j = c) ->
  is_norm A (Num.sqrt (c * r)).
Proof.
move=> A0 r0 c0 rows cols.
have absE i j : `|A i j| = A i j by rewrite ger0_norm.
split=> [||d d0 bd]; first exact: sqrtr_ge0.
  apply: norm_by_sums => // [i|j]; under eq_bigr do rewrite absE; first by rewrite rows.
  by rewrite cols.
pose one : 'cV[R]_n.+1 := const_mx 1.
have one0 : 0 < normsq one.
  by rewrite normsq_gt0; apply/eqP => /matrixP/(_ 0 0); rewrite !mxE => /eqP; rewrite oner_eq0.
have total : r *+ m = c *+ n.+1.
  transitivity (\sum_i \sum_j A i j).
    by under eq_bigr do rewrite rows; rewrite sumr_const card_ord.
  by rewrite exchange_big; under eq_bigr do rewrite cols; rewrite sumr_const card_ord.
have E : normsq (A *m one) = c * r * normsq one.
  have -> : normsq one = n.+1%:R.
    by rewrite /normsq /dot; under eq_bigr do rewrite !mxE mulr1; rewrite sumr_const card_ord.
  have -> : normsq (A *m one) = r * (r *+ m).
    rewrite /normsq /dot (eq_bigr (fun=> r * r)) ?sumr_const ?card_ord ?mulrnAr // => i _.
    have -> : (A *m one) i 0 = r by rewrite mxE -(rows i); apply: eq_bigr => j _; rewrite mxE mulr1.
    by [].
  by rewrite total -(mulr_natr c); ring.
have := bd one; rewrite norm_le // E ler_pmul2r // => le.
by rewrite -(ger0_norm d0) -sqrtr_sqr ler_wsqrtr.
Qed.

(** ** Eigenvalues of products *)

Definition nilpotent_pair (t : R) : 'M[R]_2 := t *: delta_mx 0 1.

(** Two matrices whose only eigenvalue is 0, and whose product has the eigenvalue [t ^ 2]. *)
Theorem eigenvalues_say_nothing_of_products t :
  let A := nilpotent_pair t in let B := A^T in let e : 'cV[R]_2 := delta_mx 0 0 in
  [/\ A *m A = 0, B *m B = 0, e != 0 & A *m B *m e = t ^+ 2 *: e].
Proof.
have T : (nilpotent_pair t)^T = t *: delta_mx 1 0.
  by apply/matrixP => i j; rewrite !mxE andbC.
rewrite /= T /nilpotent_pair; split.
- by rewrite -scalemxAl -scalemxAr mul_delta_mx_0 // !scaler0.
- by rewrite -scalemxAl -scalemxAr mul_delta_mx_0 // !scaler0.
- by apply/eqP => /matrixP/(_ 0 0); rewrite !mxE !eqxx => /eqP; rewrite oner_eq0.
- by rewrite -!scalemxAl -!scalemxAr -scalemxAl !mul_delta_mx scalerA expr2.
Qed.

(** A nilpotent matrix has no other eigenvalue. *)
Theorem eigenvalue_of_nilpotent n (A : 'M[R]_n) (x : 'cV[R]_n) z :
  A *m A = 0 -> x != 0 -> A *m x = z *: x -> z = 0.
Proof.
move=> sq x0 eig; have: A *m (A *m x) = 0 by rewrite mulmxA sq mul0mx.
rewrite eig -scalemxAr eig scalerA => /eqP; rewrite scaler_eq0 (negPf x0) orbF.
by rewrite -expr2 sqrf_eq0 => /eqP.
Qed.

(** Norms bound the eigenvalues of a product. *)
Theorem eigenvalue_of_product n (A B : 'M[R]_n) a b (x : 'cV[R]_n) z :
  0 <= a -> stretch_le A a -> stretch_le B b -> x != 0 -> A *m B *m x = z *: x -> `|z| <= a * b.
Proof.
move=> a0 bA bB x0 eig; rewrite -(@ler_pmul2r _ (norm x)) ?norm_gt0 //.
by rewrite -normZ -eig; exact: stretch_le_mul.
Qed.

Lemma entry_le m n (A : 'M[R]_(m, n)) c i j : stretch_le A c -> `|A i j| <= c.
Proof.
move=> bA; have unit k (l : 'I_k) : norm (delta_mx l 0 : 'cV[R]_k) = 1.
  rewrite /norm /normsq /dot (bigD1 l) //= big1 => [|h /negPf nl]; last by rewrite !mxE nl mul0r.
  by rewrite !mxE !eqxx mulr1 addr0 sqrtr1.
have -> : A i j = dot (delta_mx i 0) (A *m delta_mx j 0).
  rewrite /dot (bigD1 i) //= big1 => [|h /negPf ni]; last by rewrite !mxE ni mul0r.
  by rewrite -colE !mxE !eqxx mul1r addr0.
apply: le_trans (dot_le _ _) _; rewrite unit mul1r.
by apply: le_trans (bA _) _; rewrite unit mulr1.
Qed.

Theorem trace_of_product n (A B : 'M[R]_n) a b :
  0 <= a -> stretch_le A a -> stretch_le B b -> `|\tr (A *m B)| <= n%:R * (a * b).
Proof.
move=> a0 bA bB; apply: le_trans (ler_norm_sum _ _ _) _.
rewrite mulr_natl -[n in _ *+ n]card_ord -sumr_const; apply: ler_sum => i _.
by apply: entry_le; exact: stretch_le_mul.
Qed.

(** ** Power iteration *)

(** What a unit vector shows is a lower bound of the norm. *)
Theorem power_iteration_below m n (A : 'M[R]_(m, n)) c v : is_norm A c -> norm v = 1 -> norm (A *m v) <= c.
Proof. by move=> [_ bA _] v1; have := bA v; rewrite v1 mulr1. Qed.

(** One step of power iteration, [v := A^T A v], does not lower the estimate [|A v| / |v|]. *)
Theorem power_iteration_grows m n (A : 'M[R]_(m, n)) v : let w := A^T *m (A *m v) in
  w != 0 -> norm (A *m v) / norm v <= norm (A *m w) / norm w.
Proof.
move=> w w0; have v0 : v != 0 by apply: contraNneq w0 => v0; rewrite /w v0 !mulmx0.
have Av0 : A *m v != 0 by apply: contraNneq w0 => z; rewrite /w z mulmx0.
rewrite ler_pdivr_mulr ?norm_gt0 // mulrAC ler_pdivl_mulr ?norm_gt0 //.
have one : norm (A *m v) ^+ 2 <= norm w * norm v.
  by rewrite norm_sq /normsq dot_mulmx (le_trans (ler_norm _)) ?dot_le.
have two : norm w ^+ 2 <= norm (A *m w) * norm (A *m v).
  by rewrite norm_sq /normsq {2}/w dot_mulmx trmxK (le_trans (ler_norm _)) ?dot_le.
rewrite -(@ler_pmul2r _ (norm (A *m v) * norm w)) ?mulr_gt0 ?norm_gt0 //.
have -> : norm (A *m v) * norm w * (norm (A *m v) * norm w) = norm (A *m v) ^+ 2 * norm w ^+ 2 by ring.
have -> : norm (A *m w) * norm v * (norm (A *m v) * norm w) =
    norm w * norm v * (norm (A *m w) * norm (A *m v)) by ring.
by apply: ler_pmul => //; rewrite sqr_ge0.
Qed.
End Entries.
