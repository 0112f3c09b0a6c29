(** * Training stored weights is training effective weights with other settings

    A layer that stores [w] and uses [W = alpha w] sees the gradient [alpha G] in [w], where [G] is the
    gradient in [W].  So a run on [w] moves [W] as a run on [W] does with other settings: the learning
    rate times [alpha^2] for descent with momentum, times [alpha] for Adam and sign methods, and not at all
    for LARS; L2 decay divided by [alpha^2]; thresholds and epsilon divided by [alpha]. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors limits updates.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Momentum.
Variables (R : fieldType) (n : nat).
Implicit Types (w v : 'cV[R]_n) (beta eta decay alpha : R).

(** Descent with momentum [beta], L2 penalty and decoupled decay; [grad t w] is the gradient of step [t].
    [beta = 0] is plain gradient descent. *)
Fixpoint momentum_run beta eta (l2 : R) decay (grad : nat -> 'cV[R]_n -> 'cV[R]_n) w v t : 'cV[R]_n * 'cV[R]_n :=
  if t is t'.+1 then
    let: (w', v') := momentum_run beta eta l2 decay grad w v t' in
    let v'' := beta *: v' + (grad t' w' + l2 *: w') in
    (w' - eta *: v'' - (eta * decay) *: w', v'')
  else (w, v).

(** The gradient in the stored weights. *)
Definition stored_gradient alpha (grad : nat -> 'cV[R]_n -> 'cV[R]_n) t w := alpha *: grad t (alpha *: w).

Theorem momentum_on_stored_weights beta eta l2 decay alpha grad w t : alpha != 0 ->
  let: (w', v') := momentum_run beta eta l2 decay (stored_gradient alpha grad) w 0 t in
  momentum_run beta (eta * alpha ^+ 2) (l2 / alpha ^+ 2) (decay / alpha ^+ 2) grad (alpha *: w) 0 t
    = (alpha *: w', alpha^-1 *: v').
Proof.
move=> alpha_neq0; elim: t => [|t] /=; first by rewrite scaler0.
case: momentum_run => w' v' ->; rewrite /stored_gradient; move: (grad t _) => g.
congr (_, _); apply/colP => i; rewrite !mxE; move: (w' i 0) (v' i 0) (g i 0) => wi vi gi.
  by field.
by field.
Qed.
End Momentum.

Section Adaptive.
Variables (R : rcfType) (n : nat).
Implicit Types (w m v : 'cV[R]_n) (eps alpha eta : R).

(** The gradient with an L2 penalty and, per entry, an L1 penalty. *)
Definition penalised (l2 l1 : R) (grad : nat -> 'cV[R]_n -> 'cV[R]_n) t w : 'cV[R]_n :=
  grad t w + l2 *: w + l1 *: map_mx Num.sg w.

(** Penalties on the stored weights are other penalties on the effective weights. *)
Theorem penalties_on_stored_weights l2 l1 alpha grad t w : 0 < alpha ->
  penalised l2 l1 (stored_gradient alpha grad) t w =
    stored_gradient alpha (penalised (l2 / alpha ^+ 2) (l1 / alpha) grad) t w.
Proof.
move=> alpha_gt0; have alpha_neq0 := lt0r_neq0 alpha_gt0.
have sgE : map_mx Num.sg (alpha *: w) = map_mx Num.sg w.
  by apply/colP => i; rewrite !mxE sgrM gtr0_sg // mul1r.
rewrite /penalised /stored_gradient sgE; move: (grad t _) => g; apply/colP => i; rewrite !mxE.
by move: (g i 0) (w i 0) (Num.sg _) => gi wi sign; field.
Qed.

(** Adam's quotient is homogeneous of degree zero, if epsilon is scaled too. *)
Lemma adam_quotient alpha eps (a b : R) : 0 < alpha ->
  (alpha^-1 * a) / (Num.sqrt (alpha^-1 ^+ 2 * b) + eps / alpha) = a / (Num.sqrt b + eps).
Proof.
move=> alpha_gt0; rewrite sqrtrM ?sqr_ge0 // sqrtr_sqr gtr0_norm ?invr_gt0 //.
have -> : alpha^-1 * Num.sqrt b + eps / alpha = alpha^-1 * (Num.sqrt b + eps) by ring.
by rewrite invfM invrK mulrACA mulVf ?mul1r // gt_eqF.
Qed.

(** Adam: averages [m] of the gradient and [v] of its squares, entry by entry; the rate [rate t] holds
    the corrections of the first steps. *)
Fixpoint adam_run (rate : nat -> R) (b1 b2 : R) eps decay (grad : nat -> 'cV[R]_n -> 'cV[R]_n) w m v t :=
  if t is t'.+1 then
    let: (w', m', v') := adam_run rate b1 b2 eps decay grad w m v t' in
    let g := grad t' w' in
    let m'' := b1 *: m' + (1 - b1) *: g in
    let v'' := b2 *: v' + (1 - b2) *: (\col_i g i 0 ^+ 2) in
    (w' - rate t' *: (\col_i (m'' i 0 / (Num.sqrt (v'' i 0) + eps))) - (rate t' * decay) *: w', m'', v'')
  else (w, m, v).

Theorem adam_on_stored_weights rate b1 b2 eps decay alpha grad w t : 0 < alpha ->
  let: (w', m', v') := adam_run rate b1 b2 eps decay (stored_gradient alpha grad) w 0 0 t in
  adam_run (fun t => rate t * alpha) b1 b2 (eps / alpha) (decay / alpha) grad (alpha *: w) 0 0 t
    = (alpha *: w', alpha^-1 *: m', alpha^-1 ^+ 2 *: v').
Proof.
move=> alpha_gt0; have alpha_neq0 := lt0r_neq0 alpha_gt0.
elim: t => [|t] /=; first by rewrite !scaler0.
case: adam_run => -[w' m'] v' ->; rewrite /stored_gradient; move: (grad t _) => g.
have mE : b1 *: (alpha^-1 *: m') + (1 - b1) *: g = alpha^-1 *: (b1 *: m' + (1 - b1) *: (alpha *: g)).
  by apply/colP => i; rewrite !mxE; move: (m' i 0) (g i 0) => mi gi; field.
have vE : b2 *: (alpha^-1 ^+ 2 *: v') + (1 - b2) *: (\col_i g i 0 ^+ 2) =
    alpha^-1 ^+ 2 *: (b2 *: v' + (1 - b2) *: (\col_i (alpha *: g) i 0 ^+ 2)).
  by apply/colP => i; rewrite !mxE; move: (v' i 0) (g i 0) => vi gi; field.
rewrite mE vE; move: (b1 *: m' + _) (b2 *: v' + _) => a b; congr (_, _, _).
have -> : (\col_i ((alpha^-1 *: a) i 0 / (Num.sqrt ((alpha^-1 ^+ 2 *: b) i 0) + eps / alpha)) : 'cV[R]_n) =
    \col_i (a i 0 / (Num.sqrt (b i 0) + eps)).
  by apply/colP => i; rewrite ![in LHS]mxE [in RHS]mxE adam_quotient.
move: (\col_i _) => direction; apply/colP => i; rewrite !mxE.
by move: (w' i 0) (direction i 0) => wi di; field.
Qed.

(** Sign methods: signSGD, or Lion with [v] an average of gradients. *)
Fixpoint sign_run eta beta (grad : nat -> 'cV[R]_n -> 'cV[R]_n) w v t :=
  if t is t'.+1 then
    let: (w', v') := sign_run eta beta grad w v t' in
    let v'' := beta *: v' + (1 - beta) *: grad t' w' in
    (w' - eta *: map_mx Num.sg v'', v'')
  else (w, v).

Theorem sign_method_on_stored_weights eta beta alpha grad w t : 0 < alpha ->
  let: (w', v') := sign_run eta beta (stored_gradient alpha grad) w 0 t in
  sign_run (eta * alpha) beta grad (alpha *: w) 0 t = (alpha *: w', alpha^-1 *: v').
Proof.
move=> alpha_gt0; have alpha_neq0 := lt0r_neq0 alpha_gt0.
elim: t => [|t] /=; first by rewrite scaler0.
case: sign_run => w' v' ->; rewrite /stored_gradient; move: (grad t _) => g.
have vE : beta *: (alpha^-1 *: v') + (1 - beta) *: g = alpha^-1 *: (beta *: v' + (1 - beta) *: (alpha *: g)).
  by apply/colP => i; rewrite !mxE; move: (v' i 0) (g i 0) => vi gi; field.
rewrite vE; move: (beta *: v' + _) => a; congr (_, _).
by apply/colP => i; rewrite !mxE sgrM gtr0_sg ?invr_gt0 // mul1r mulrBr mulrA [eta * alpha]mulrC.
Qed.

(** LARS does not notice the multiplier, but for its decay. *)
Fixpoint lars_run eta lambda (grad : nat -> 'cV[R]_n -> 'cV[R]_n) w t :=
  if t is t'.+1 then
    let w' := lars_run eta lambda grad w t' in w' - lars_step eta lambda w' (grad t' w')
  else w.

Theorem lars_on_stored_weights eta lambda alpha grad w t : 0 < alpha ->
  lars_run eta (lambda / alpha ^+ 2) grad (alpha *: w) t =
    alpha *: lars_run eta lambda (stored_gradient alpha grad) w t.
Proof.
move=> alpha_gt0; have alpha_neq0 := lt0r_neq0 alpha_gt0.
elim: t => [|t IHt] //=; rewrite IHt scalerBr; congr (_ - _).
set w' := lars_run _ _ _ _ _; rewrite /lars_step /stored_gradient; move: (grad t _) => g.
rewrite !normZ gtr0_norm // !scalerDr !scalerA.
set a := norm g; set b := norm w'.
have -> : a + lambda / alpha ^+ 2 * (alpha * b) = alpha^-1 * (alpha * a + lambda * b) by field.
rewrite invfM invrK; move: (alpha * a + lambda * b)^-1 => q; apply/colP => i; rewrite !mxE.
by move: (g i 0) (w' i 0) => gi wi; field.
Qed.
End Adaptive.
