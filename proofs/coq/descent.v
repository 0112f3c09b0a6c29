(** Gradient descent on a quadratic loss.

    Near a minimum every smooth loss looks like [(w - wmin)^T H (w - wmin) / 2], and the learning rate
    [lr] decides how training goes there. In coordinates in which [H] is diagonal the error in the
    direction of curvature [h] is multiplied by [1 - lr h] at every step. So training converges
    from every start exactly when [0 < lr < 2 / h_max]; it zigzags in a direction as soon as
    [lr h > 1]; and with curvatures between [a] and [b] no learning rate guarantees a better factor
    per step than [(k - 1) / (k + 1)], [k = b / a], which [lr = 2 / (a + b)] alone attains.

    [H] is given together with coordinates [Q w] in which it is diagonal, as every symmetric matrix
    can be. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import ring.
From Isometer Require Import vectors limits.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** [(w - wmin)^T H (w - wmin) / 2] has the gradient [H (w - wmin)]. *)
Definition descent_step (R : ringType) n (H : 'M[R]_n) (wmin : 'cV[R]_n) (lr : R) (w : 'cV[R]_n) :=
  w - lr *: (H *m (w - wmin)).

Definition descent (R : ringType) n (H : 'M[R]_n) (wmin : 'cV[R]_n) (lr : R) (w : 'cV[R]_n) t :=
  iter t (descent_step H wmin lr) w.

Definition diagonalises (R : comUnitRingType) n (Q H : 'M[R]_n) (curvature : 'rV[R]_n) : Prop :=
  Q \in unitmx /\ Q *m H = diag_mx curvature *m Q.

(** In the coordinates of the eigenvectors each error is multiplied by its own factor. *)
Theorem error_after_steps (R : comUnitRingType) n (Q H : 'M[R]_n) curvature wmin lr w t i :
  diagonalises Q H curvature ->
  (Q *m (descent H wmin lr w t - wmin)) i 0 = (1 - lr * curvature 0 i) ^+ t * (Q *m (w - wmin)) i 0.
Proof.
case=> _ diagonal; elim: t => [|t IHt]; first by rewrite expr0 mul1r.
rewrite [descent _ _ _ _ _]iterS -/(descent H wmin lr w t) /descent_step; set v := descent _ _ _ _ t in IHt *.
have -> : v - lr *: (H *m (v - wmin)) - wmin = (v - wmin) - lr *: (H *m (v - wmin)) by rewrite addrAC.
rewrite exprS -mulrA -IHt [Q *m (_ - _ *: _)]mulmxBr -scalemxAr mulmxA diagonal -mulmxA mul_diag_mx.
by rewrite !mxE mulrBl mul1r mulrA.
Qed.

(** A factor is below one in modulus when the step is positive and below two. *)
Lemma factor_below_one (R : realDomainType) (s : R) : (`|1 - s| < 1) = (0 < s < 2%:R).
Proof.
rewrite ltr_norml andbC; congr andb; first by rewrite ltr_subl_addr ltr_addl.
by rewrite ltr_subr_addl addrC -ltr_subr_addl opprK.
Qed.

Section Convergence.
Variables (R : archiFieldType) (n : nat).
Implicit Types (Q H : 'M[R]_n) (w wmin : 'cV[R]_n) (curvature : 'rV[R]_n) (lr : R).

(** Coordinates do not matter for convergence. *)
Lemma converges_in_coordinates Q (w : nat -> 'cV[R]_n) wmin : Q \in unitmx ->
  converges_to w wmin <-> forall i, tends_to_zero (fun t => (Q *m (w t - wmin)) i 0).
Proof.
move=> Qunit; split=> [conv i | conv i].
  exact: tends_to_zero_mulmx.
have := tends_to_zero_mulmx (invmx Q) conv i.
by apply: eq_tends_to_zero => t; rewrite mulKmx.
Qed.

Lemma converges_iff_factors_below_one Q H curvature wmin lr : diagonalises Q H curvature ->
  (forall w, converges_to (descent H wmin lr w) wmin) <-> (forall i, `|1 - lr * curvature 0 i| < 1).
Proof.
move=> diagonal; have Qunit := diagonal.1; split=> [conv i | small w].
  apply/geometric_vanishes_iff; pose w := wmin + invmx Q *m delta_mx i 0.
  have := (converges_in_coordinates _ _ Qunit).1 (conv w) i.
  apply: eq_tends_to_zero => t; rewrite (error_after_steps wmin lr w t i diagonal).
  by rewrite addrAC subrr add0r mulKVmx // mxE !eqxx mulr1.
apply/(converges_in_coordinates _ _ Qunit) => i.
have := tends_to_zeroZ ((Q *m (w - wmin)) i 0) (geometric_vanishes (small i)).
by apply: eq_tends_to_zero => t; rewrite (error_after_steps wmin lr w t i diagonal) mulrC.
Qed.

(** The learning rates from which training converges whatever the start. *)
Theorem descent_converges_iff Q H curvature wmin lr h_max :
  diagonalises Q H curvature ->
  (forall i, 0 < curvature 0 i <= h_max) -> (exists i, curvature 0 i = h_max) ->
  (forall w, converges_to (descent H wmin lr w) wmin) <-> 0 < lr < 2%:R / h_max.
Proof.
move=> diagonal range [top topE]; have top_gt0 : 0 < h_max by rewrite -topE; case/andP: (range top).
apply: (iff_trans (converges_iff_factors_below_one wmin lr diagonal)); split=> [small | /andP[lr_gt0 lr_lt]].
  by have := small top; rewrite factor_below_one topE ltr_pdivl_mulr // pmulr_lgt0.
move=> i; case/andP: (range i) => h_gt0 h_le; rewrite factor_below_one mulr_gt0 //=.
by rewrite (le_lt_trans (ler_wpmul2l (ltW lr_gt0) h_le)) // -ltr_pdivl_mulr.
Qed.

End Convergence.

Section Rate.
Variable R : realFieldType.
Implicit Types (lr a b h e rho : R).

(** If no factor exceeds [rho], a step shortens the error by [rho]: here in the Euclidean norm, so
    the coordinates are orthonormal. *)
Theorem descent_contracts n (Q H : 'M[R]_n) curvature wmin lr rho w t :
  diagonalises Q H curvature -> Q^T *m Q = 1%:M ->
  (forall i, `|1 - lr * curvature 0 i| <= rho) ->
  normsq (descent H wmin lr w t - wmin) <= (rho ^+ t) ^+ 2 * normsq (w - wmin).
Proof.
move=> diagonal isometry bound.
have in_coordinates x : normsq x = normsq (Q *m x).
  by rewrite /normsq dot_mulmx mulmxA isometry mul1mx.
rewrite in_coordinates [normsq (w - wmin)]in_coordinates mulr_sumr ler_sum // => i _.
rewrite (error_after_steps wmin lr w t i diagonal) -!expr2 exprMn ler_wpmul2r ?sqr_ge0 //.
have rho_ge0 : 0 <= rho := le_trans (normr_ge0 _) (bound i).
by rewrite -[_ ^+ 2]ger0_norm ?sqr_ge0 // normrX ler_sqr ?nnegrE ?exprn_ge0 // normrX ler_expn2r ?nnegrE.
Qed.

(** With [lr = 2 / (a + b)] the slowest and the fastest direction shrink equally. *)
Theorem best_rate_is_attained a b : 0 < a -> a <= b ->
  let k := b / a in let lr := 2%:R / (a + b) in
  forall h, a <= h <= b -> `|1 - lr * h| <= (k - 1) / (k + 1).
Proof.
move=> a_gt0 ab k lr h /andP[ah hb]; have ab_gt0 : 0 < a + b by rewrite addr_gt0 ?(lt_le_trans a_gt0).
have a_neq0 := gt_eqF a_gt0; have ab_neq0 := gt_eqF ab_gt0.
have -> : (k - 1) / (k + 1) = (b - a) / (a + b).
  by rewrite /k; field; rewrite a_neq0 ab_neq0.
have -> : 1 - lr * h = (a + b - h *+ 2) / (a + b) by rewrite /lr; field; rewrite ab_neq0.
rewrite normrM [`|_^-1|]gtr0_norm ?invr_gt0 // ler_pmul2r ?invr_gt0 // ler_norml.
rewrite mulr2n; apply/andP; split; rewrite -subr_ge0.
  have -> : a + b - (h + h) - - (b - a) = (b - h) + (b - h) by ring.
  by rewrite addr_ge0 ?subr_ge0.
have -> : b - a - (a + b - (h + h)) = (h - a) + (h - a) by ring.
by rewrite addr_ge0 ?subr_ge0.
Qed.

(** No other learning rate does as well. *)
Theorem best_rate_is_optimal a b lr : 0 < a -> a <= b ->
  let k := b / a in
  `|1 - lr * a| <= (k - 1) / (k + 1) -> `|1 - lr * b| <= (k - 1) / (k + 1) -> lr = 2%:R / (a + b).
Proof.
move=> a_gt0 ab k; have b_gt0 := lt_le_trans a_gt0 ab; have ab_gt0 := addr_gt0 a_gt0 b_gt0.
have a_neq0 := gt_eqF a_gt0; have ab_neq0 := gt_eqF ab_gt0.
have -> : (k - 1) / (k + 1) = (b - a) / (a + b).
  by rewrite /k; field; rewrite a_neq0 ab_neq0.
rewrite !ler_norml => /andP[_ slow] /andP[fast _].
apply/eqP; rewrite eq_le ler_pdivl_mulr // ler_pdivr_mulr //; apply/andP; split.
  rewrite -(ler_pmul2r b_gt0) -subr_ge0.
  have -> : 2%:R * b - lr * (a + b) * b = (1 - lr * b - - ((b - a) / (a + b))) * (a + b).
    by field; rewrite ab_neq0.
  by rewrite mulr_ge0 ?subr_ge0 // ltW.
rewrite -(ler_pmul2r a_gt0) -subr_ge0.
have -> : lr * (a + b) * a - 2%:R * a = ((b - a) / (a + b) - (1 - lr * a)) * (a + b).
  by field; rewrite ab_neq0.
by rewrite mulr_ge0 ?subr_ge0 // ltW.
Qed.

(** The regimes of one direction of curvature [h] and error [e]: between [1/h] and [2/h] the error
    changes sign at every step, at [2/h] it keeps its size, above it grows, below [1/h] it never
    changes sign. *)
Theorem overshoot_interval h lr e : e != 0 ->
  let next := (1 - lr * h) * e in
  [/\ (next * e < 0) = (1 < lr * h),
      (`|next| < `|e|) = (0 < lr * h < 2%:R),
      lr * h = 2%:R -> next = - e &
      2%:R < lr * h -> `|e| < `|next| ].
Proof.
move=> e_neq0 next; have e_gt0 : 0 < `|e| by rewrite normr_gt0.
have e2_gt0 : 0 < e * e by rewrite -expr2 exprn_even_gt0.
split.
- by rewrite /next -mulrA pmulr_llt0 // subr_lt0.
- by rewrite /next normrM -ltr_pdivl_mulr // divff ?gt_eqF // factor_below_one.
- by rewrite /next => ->; ring.
move=> big; rewrite /next normrM -ltr_pdivr_mulr // divff ?gt_eqF //.
rewrite distrC (lt_le_trans _ (ler_norm _)) // ltr_subr_addr.
by have -> : 1 + 1 = 2%:R :> R by [].
Qed.

End Rate.
