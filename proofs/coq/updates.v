(** * Steps of a prescribed length: trust ratios, clipping, factors by layer

    Many cures for vanishing and exploding gradients rescale the step.  A trust ratio (LARS, LAMB)
    makes it a fixed share of the weights whatever the size of the gradient; clipping bounds it;
    learning rates by layer stretch its parts.  One common factor keeps the direction and all
    ratios between layers; different factors turn the step ([rescaling.v] bounds by how much). *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors limits.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Updates.
Variable R : rcfType.
Implicit Types (eta lambda c : R).

(** The step of LARS on weights [w] with gradient [g], decay [lambda] and trust [eta]. *)
Definition lars_step n eta lambda (w g : 'cV[R]_n) :=
  (eta * norm w / (norm g + lambda * norm w)) *: (g + lambda *: w).

(** The step of LAMB in the direction [r]. *)
Definition lamb_step n (w r : 'cV[R]_n) := (norm w / norm r) *: r.

Theorem lars_step_bound n eta lambda (w g : 'cV[R]_n) : 0 < eta -> 0 <= lambda -> g != 0 ->
  norm (lars_step eta lambda w g) <= eta * norm w.
Proof.
move=> eta_gt0 lambda_ge0 g_neq0.
have total_gt0 : 0 < norm g + lambda * norm w by rewrite ltr_paddr ?mulr_ge0 ?norm_ge0 ?norm_gt0.
rewrite normZ ger0_norm; last by rewrite divr_ge0 ?mulr_ge0 ?norm_ge0 ?ltW.
rewrite mulrAC ler_pdivr_mulr // ler_wpmul2l ?mulr_ge0 ?norm_ge0 ?(ltW eta_gt0) //.
by rewrite (le_trans (normD _ _)) // normZ ger0_norm.
Qed.

(** Without decay the step is [eta |w|] long whatever the scale of the gradient. *)
Theorem lars_step_length n eta (w g : 'cV[R]_n) : 0 < eta -> g != 0 ->
  norm (lars_step eta 0 w g) = eta * norm w /\
  forall a, 0 < a -> lars_step eta 0 w (a *: g) = lars_step eta 0 w g.
Proof.
move=> eta_gt0 g_neq0; have g_gt0 : 0 < norm g by rewrite norm_gt0.
split=> [|a a_gt0]; rewrite /lars_step !mul0r !scale0r !addr0.
  by rewrite normZ ger0_norm ?divfK ?gt_eqF // divr_ge0 ?mulr_ge0 ?norm_ge0 ?ltW.
rewrite normZ gtr0_norm // scalerA; congr (_ *: _).
by field; rewrite !gt_eqF.
Qed.

Theorem lamb_step_length n (w r : 'cV[R]_n) : r != 0 -> norm (lamb_step w r) = norm w.
Proof.
move=> r_neq0; have r_gt0 : 0 < norm r by rewrite norm_gt0.
by rewrite normZ ger0_norm ?divfK ?gt_eqF // divr_ge0 ?norm_ge0.
Qed.

(** Clipping by the norm. *)
Definition clip n c (g : 'cV[R]_n) := Num.min 1 (c / norm g) *: g.

(** Clipping multiplies by a number between 0 and 1 and bounds the length by [c]. *)
Theorem clipping n c (g : 'cV[R]_n) : 0 <= c -> g != 0 ->
  (exists2 s, 0 <= s <= 1 & clip c g = s *: g) /\ norm (clip c g) = Num.min (norm g) c.
Proof.
move=> c_ge0 g_neq0; have g_gt0 : 0 < norm g by rewrite norm_gt0.
have ratio_ge0 : 0 <= c / norm g by rewrite divr_ge0 // norm_ge0.
have s_ge0 : 0 <= Num.min 1 (c / norm g) by rewrite le_minr ler01.
split; first by exists (Num.min 1 (c / norm g)); rewrite // s_ge0 le_minl lexx.
by rewrite normZ ger0_norm // mulrC minr_pmulr ?norm_ge0 // mulr1 mulrC divfK ?gt_eqF.
Qed.

(** Clipping entry by entry turns: [(3, 1/2)] becomes [(1, 1/2)]. *)
Theorem clipping_entries_turns :
  let g : 'cV[R]_2 := \col_i (if i == 0 then 3%:R else 2%:R^-1) in
  let clipped := \col_i Num.min (g i 0) 1 in ~ exists s, clipped = s *: g.
Proof.
move=> g clipped [s /colP sE].
have two_gt0 : 0 < 2%:R :> R by rewrite ltr0n.
have threehalves : 1 = s * 3%:R by have := sE 0; rewrite !mxE /= min_r // ler1n.
have half : 2%:R^-1 = s * 2%:R^-1.
  by have := sE 1; rewrite !mxE /= min_l // invf_le1 ?ler1n.
have s1 : s = 1 by apply: (mulIf (invr_neq0 (lt0r_neq0 two_gt0))); rewrite -half mul1r.
by move/eqP: threehalves; rewrite s1 mul1r (eqr_nat R 1 3).
Qed.

(** A common factor cancels in the ratio of two layers. *)
Theorem common_factor_keeps_ratios n m c (g : 'cV[R]_n) (g' : 'cV[R]_m) : c != 0 ->
  norm (c *: g) / norm (c *: g') = norm g / norm g'.
Proof. by move=> c_neq0; rewrite !normZ -mulf_div divff ?mul1r // normr_eq0. Qed.

End Updates.

(** Parts of a gradient, one for each layer, each with its own width. *)
Section Layers.
Variables (R : realFieldType) (L : nat) (n : 'I_L -> nat).
Implicit Types (g : forall l, 'cV[R]_(n l)) (factor : 'I_L -> R) (s : R).

Definition rescaled factor g : forall l, 'cV[R]_(n l) := fun l => factor l *: g l.

(** Different factors on two layers that have a gradient do turn the step. *)
Theorem rescaling_turns factor g l l' : g l != 0 -> g l' != 0 -> factor l != factor l' ->
  ~ exists s, forall k, rescaled factor g k = s *: g k.
Proof.
move=> gl gl' /eqP differ [s same]; apply: differ.
have factorE k : g k != 0 -> factor k = s.
  move=> gk; have /eqP := same k; rewrite /rescaled -subr_eq0 -scalerBl scaler_eq0 (negbTE gk) orbF.
  by rewrite subr_eq0 => /eqP.
by rewrite !factorE.
Qed.

(** One factor for all layers does not. *)
Theorem common_factor_keeps_direction factor g s : (forall l, factor l = s) ->
  forall l, rescaled factor g l = s *: g l.
Proof. by move=> same l; rewrite /rescaled same. Qed.
End Layers.

Section Clipped.
Variable R : archiFieldType.
Implicit Types (h eta c x : R).

(** Descent on [h x^2 / 2] with the gradient clipped at [c]. *)
Definition clipped_step h eta c x := x - eta * (Num.min 1 (c / `|h * x|) * (h * x)).

(** Clipping does not repair a learning rate above [2 / h]: training does not converge, unless it
    hits the minimum exactly. *)
Theorem clipped_descent_does_not_converge h eta c x : 0 < h -> 0 < c -> 2%:R / h < eta ->
  (forall t, iter t (clipped_step h eta c) x != 0) ->
  ~ tends_to_zero (fun t => iter t (clipped_step h eta c) x).
Proof.
move=> h_gt0 c_gt0 big never0 conv; have [T small] := conv _ (divr_gt0 c_gt0 h_gt0).
set e := fun t => iter t _ x in conv small never0.
have grows t : (T <= t)%N -> `|e t| <= `|e t.+1|.
  move=> /small; rewrite ler_pdivl_mulr // mulrC => inside.
  have hx_gt0 : 0 < `|h * e t| by rewrite normr_gt0 mulf_neq0 ?(gt_eqF h_gt0) ?never0.
  have -> : e t.+1 = (1 - eta * h) * e t.
    rewrite {1}/e iterS -/(e t) /clipped_step (min_idPl _); first by ring.
    by rewrite ler_pdivl_mulr // mul1r normrM (gtr0_norm h_gt0).
  rewrite normrM ler_pmull ?normr_gt0 ?never0 // ler_normr opprB; apply/orP; right.
  by rewrite ler_subr_addr (_ : 1 + 1 = 2%:R) // -ler_pdivr_mulr // ltW.
have far t : `|e T| <= `|e (T + t)%N|.
  elim: t => [|t IHt]; first by rewrite addn0.
  by rewrite addnS (le_trans IHt) // grows // leq_addr.
have half_gt0 : 0 < `|e T| / 2%:R by rewrite divr_gt0 ?ltr0n // normr_gt0 never0.
have [S smaller] := conv _ half_gt0.
have := smaller (T + S)%N (leq_addl _ _); rewrite leNgt => /negP; apply.
rewrite (lt_le_trans _ (far S)) // ltr_pdivr_mulr ?ltr0n // ltr_pmulr ?ltr1n //.
by rewrite normr_gt0 never0.
Qed.
End Clipped.
