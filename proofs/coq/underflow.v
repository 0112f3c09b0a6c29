(** * When products of small factors vanish, and when they cannot

    A gradient that shrinks by a factor [alpha] at every layer is [alpha^L] after [L] layers.  Stored as
    one number it becomes zero exactly when [L ln alpha <= (emin - 1) ln 2]: at the depth
    [(1 - emin) ln 2 / ln (1 / alpha)], the underflow horizon.  Computed layer by layer it need not: as
    long as [alpha > 1/2] the smallest positive number times [alpha] is rounded to itself, so the
    computed gradient sticks at noise of that size and never dies; for [alpha <= 1/2] it does die. *)

From Coq Require Import Reals ZArith Lia Lra.
From Flocq Require Import Core.
From Isometer Require Import rounding.
Open Scope R_scope.

Section Underflow.
Variables emin p : Z.
Context {p_gt_0 : Prec_gt_0 p}.
Local Notation bpow := (bpow radix2).

(** The depth from which a product of [L] factors [alpha] is stored as zero. *)
Theorem underflow_horizon alpha L : 0 < alpha ->
  fl emin p (alpha ^ L) = 0 <-> INR L * ln alpha <= IZR (emin - 1) * ln 2.
Proof.
intros alpha_pos; pose proof (pow_lt alpha L alpha_pos) as power_pos.
rewrite (zero_threshold emin p), Rabs_pos_eq by lra.
assert (half : bpow emin / 2 = bpow (emin - 1)).
{ unfold Zminus; rewrite bpow_plus; change (bpow (-1)) with (/ 2); reflexivity. }
assert (two : ln (bpow (emin - 1)) = IZR (emin - 1) * ln 2).
{ rewrite bpow_exp, ln_exp; reflexivity. }
rewrite half, <- two, <- ln_pow by exact alpha_pos.
pose proof (bpow_gt_0 radix2 (emin - 1)) as threshold_pos; split; intros H.
- destruct H as [H | ->]; [left; now apply ln_increasing | right; reflexivity].
- apply Rnot_lt_le; intros larger; apply ln_increasing in larger; lra.
Qed.

(** A gradient computed layer by layer. *)
Fixpoint layer_by_layer (alpha x : R) (L : nat) : R :=
  match L with O => x | S L' => fl emin p (alpha * layer_by_layer alpha x L') end.

Lemma smallest_is_float k : (0 <= k)%Z -> is_float emin p (bpow (emin + k)).
Proof. intros k_ge0; apply generic_format_FLT_bpow; [exact p_gt_0 | lia]. Qed.

(** Below the smallest positive number is zero, so what is above half of it is not lost. *)
Lemma above_half_of_the_smallest x : bpow emin / 2 < x -> bpow emin <= fl emin p x.
Proof.
intros above; pose proof (smallest_is_float 0 (Z.le_refl 0)) as F; rewrite Z.add_0_r in F.
apply (fl_above_midpoint emin p); [exact F |].
assert (zero : next_down emin p (bpow emin) = 0).
{ unfold next_down; rewrite pred_bpow; unfold FLT_exp.
  assert (p_pos : (0 < p)%Z) by exact p_gt_0; rewrite Z.max_r by lia; ring. }
rewrite zero; lra.
Qed.

(** So no computed gradient that starts positive ever becomes zero. *)
Theorem computed_gradients_never_vanish alpha x L : / 2 < alpha -> bpow emin <= x ->
  bpow emin <= layer_by_layer alpha x L.
Proof.
intros range x_large; induction L as [| L IH]; [exact x_large | simpl].
apply above_half_of_the_smallest; pose proof (bpow_gt_0 radix2 emin); nra.
Qed.

(** The smallest positive number is a fixed point of every factor between one half and one. *)
Theorem smallest_number_is_sticky alpha L : / 2 < alpha <= 1 ->
  layer_by_layer alpha (bpow emin) L = bpow emin.
Proof.
intros range; apply Rle_antisym.
2: { apply computed_gradients_never_vanish; [lra | apply Rle_refl]. }
induction L as [| L IH]; [apply Rle_refl | simpl].
pose proof (bpow_gt_0 radix2 emin) as tiny_pos.
apply round_le_generic; try typeclasses eauto.
- pose proof (smallest_is_float 0 (Z.le_refl 0)) as F; now rewrite Z.add_0_r in F.
- nra.
Qed.

Lemma fl_nonneg x : 0 <= x -> 0 <= fl emin p x.
Proof.
intros x_ge0; apply round_ge_generic; try typeclasses eauto; [apply generic_format_0 | exact x_ge0].
Qed.

Lemma halving_bound alpha x k L : 0 <= alpha <= / 2 -> 0 <= x <= bpow (emin + Z.of_nat k) ->
  (L <= k)%nat -> 0 <= layer_by_layer alpha x L <= bpow (emin + Z.of_nat (k - L)).
Proof.
intros factor start; induction L as [| L IH]; intros Lk.
- now rewrite Nat.sub_0_r.
- destruct IH as [low high]; [lia |].
  assert (doubled : bpow (emin + Z.of_nat (k - L)) = 2 * bpow (emin + Z.of_nat (k - S L))).
  { replace (emin + Z.of_nat (k - L))%Z with (1 + (emin + Z.of_nat (k - S L)))%Z by lia.
    rewrite bpow_plus; reflexivity. }
  simpl; split; [apply fl_nonneg; nra |].
  apply round_le_generic; try typeclasses eauto; [apply smallest_is_float; lia | nra].
Qed.

(** A factor of at most one half makes every number vanish: it is halved at every layer, and half of
    the smallest number is a tie that goes to zero. *)
Theorem halving_vanishes alpha x k L : 0 <= alpha <= / 2 -> 0 <= x <= bpow (emin + Z.of_nat k) ->
  (k < L)%nat -> layer_by_layer alpha x L = 0.
Proof.
intros factor start deep; induction deep as [| L deep IH]; simpl.
- destruct (halving_bound alpha x k k factor start (le_n k)) as [low high].
  rewrite Nat.sub_diag, Z.add_0_r in high.
  apply (zero_threshold emin p); rewrite Rabs_pos_eq; nra.
- rewrite IH, Rmult_0_r; apply round_0; typeclasses eauto.
Qed.
End Underflow.
