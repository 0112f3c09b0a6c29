(** * Weights whose scale does not matter

    Weights followed by a normalization have no scale: the loss is the same at [W] and at [c W].  Then
    the gradient is orthogonal to the weights, and at weights [c] times as long it is [1/c] times as
    long.  A step of gradient descent turns long weights by [1/c^2] as much as short ones, and it can
    only lengthen them: with normalization the length of the weights is a learning rate that
    falls by itself. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets functions reals topology normedtype derive.
From mathcomp Require Import realfun sequences exp.
From Isometer Require Import vectors curves.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

(** The loss does not depend on the length of the weights. *)
Definition scale_invariant (R : numDomainType) n (f : 'cV[R]_n -> R) : Prop :=
  forall a w, 0 < a -> f (a *: w) = f w.

Section ScaleInvariance.
Variable R : realType.
Implicit Types (a lr : R).

Lemma line_velocity (t : R) n (h : R -> R) dh (w : 'cV[R]_n) : is_derive t 1 h dh ->
  column_velocity t (fun s => h s *: w) (dh *: w).
Proof.
move=> hdh i; rewrite !mxE; have := is_derive_mul hdh (is_derive_cst (w i 0) t 1).
by rewrite mulr0 addr0; congr (is_derive _ _ _ _); apply/funext => s; rewrite !mxE.
Qed.

(** Lengthening the weights changes nothing, so the gradient has no part along them. *)
Theorem gradient_is_orthogonal n (f : 'cV[R]_n -> R) w g :
  scale_invariant f -> is_gradient f w g -> dot g w = 0.
Proof.
move=> invariant grad.
have growing := line_velocity w (is_derive_expR (0 : R)).
have := grad 0 _ _ _ growing; rewrite expR0 !scale1r => /(_ erefl) along.
have constant : (fun s => f (expR s *: w)) = cst (f w).
  by apply/funext => s; rewrite invariant ?expR_gt0.
rewrite constant in along; exact: is_derive_unique along (is_derive_cst _ _ _).
Qed.

(** Gradients are homogeneous of degree minus one. *)
Theorem gradient_scales_inversely n (f : 'cV[R]_n -> R) a w g g' : 0 < a ->
  scale_invariant f -> is_gradient f w g -> is_gradient f (a *: w) g' -> g' = a^-1 *: g.
Proof.
move=> a_gt0 invariant grad grad'.
have same d : a * dot g' d = dot g d.
  have moving : column_velocity 0 (fun s : R => w + s *: d) d.
    move=> i; have := is_derive_add (is_derive_cst (w i 0) 0 1) (line_velocity d (is_derive_id (0 : R) 1) i).
    by rewrite !mxE mul1r add0r; congr (is_derive _ _ _ _); apply/funext => s; rewrite !mxE.
  have moving' : column_velocity 0 (fun s : R => a *: (w + s *: d)) (a *: d).
    move=> i; have := is_derive_mul (is_derive_cst a (0 : R) 1) (moving i).
    by rewrite !mxE mul0r add0r; congr (is_derive _ _ _ _); apply/funext => s; rewrite !mxE.
  have := grad 0 _ _ _ moving; have := grad' 0 _ _ _ moving'.
  rewrite scale0r addr0 => /(_ erefl) fast /(_ erefl) slow.
  rewrite -dotZr; apply: is_derive_unique fast _.
  by move: slow; congr (is_derive _ _ _ _); apply/funext => s; rewrite invariant.
apply/colP => i; have := same (delta_mx i 0).
rewrite /dot (bigD1 i) //= big1 => [|j j_neq]; last by rewrite mxE (negbTE j_neq) mulr0.
rewrite [in RHS](bigD1 i) //= big1 => [|j j_neq]; last by rewrite mxE (negbTE j_neq) mulr0.
rewrite !mxE !eqxx !mulr1 !addr0 => <-.
by rewrite mulKf ?gt_eqF.
Qed.

(** A step on [a w] with rate [lr] is [a] times the step on [w] with rate [lr / a^2]: it turns the
    weights as little. *)
Theorem effective_learning_rate n (f : 'cV[R]_n -> R) a lr w g g' : 0 < a ->
  scale_invariant f -> is_gradient f w g -> is_gradient f (a *: w) g' ->
  a *: w - lr *: g' = a *: (w - (lr / a ^+ 2) *: g).
Proof.
move=> a_gt0 invariant grad grad'; rewrite (gradient_scales_inversely a_gt0 invariant grad grad').
rewrite scalerBr !scalerA; congr (_ - _ *: _).
by field; rewrite gt_eqF.
Qed.

(** Gradient steps only lengthen the weights. *)
Theorem steps_lengthen n (f : 'cV[R]_n -> R) lr w g :
  scale_invariant f -> is_gradient f w g ->
  normsq (w - lr *: g) = normsq w + lr ^+ 2 * normsq g.
Proof.
move=> invariant grad.
by rewrite normsqB normsqZ dotZr dotC (gradient_is_orthogonal invariant grad) !mulr0 subr0.
Qed.

(** The length of a linear image divided out: centring and rescaling of the values [A w] of a unit,
    as layer, RMS and batch normalization do without epsilon. *)
Definition normalise n (h : 'cV[R]_n) : 'cV[R]_n := (norm h)^-1 *: h.

Theorem normalization_makes_scale_invariant n m (A : 'M[R]_(m, n)) (loss : 'cV[R]_m -> R) :
  scale_invariant (fun w => loss (normalise (A *m w))).
Proof.
move=> a w a_gt0; congr loss; rewrite /normalise -scalemxAr normZ gtr0_norm // scalerA.
by rewrite invfM mulrAC mulVf ?gt_eqF // mul1r.
Qed.
End ScaleInvariance.
