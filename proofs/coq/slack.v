(** * Bounds that stay bounds after rounding

    Certificates are sums and products of non-negative numbers, computed in double precision with
    errors that nobody wants to track.  [up] multiplies the computed number by [1 + 2^-45] and goes to
    the next double: the result is above the exact value of every expression of non-negative terms
    that took at most 128 roundings.  This holds down to the smallest subnormal number. *)

From Coq Require Import Reals ZArith Lia Lra.
From Flocq Require Import Core Relative.
From Isometer Require Import rounding.
Open Scope R_scope.

(** IEEE 754 double precision. *)
Definition double (x : R) : R := fl (-1074) 53 x.
Definition is_double (x : R) : Prop := is_float (-1074) 53 x.

(** The code: [(x + x.abs() * SLACK).next_up()] for [x >= 0], with [SLACK = 2^-45]. *)
Definition up (x : R) : R := next_up (-1074) 53 (double (x + double (x * bpow radix2 (-45)))).

(** The code: [(x * (1.0 - SLACK)).next_down()], for a result that is not negative. *)
Definition down (x : R) : R := next_down (-1074) 53 (double (x * (1 - bpow radix2 (-45)))).

Local Notation u := (bpow radix2 (-53)).

Local Instance prec_53 : Prec_gt_0 53.
Proof. easy. Qed.

Lemma slack_value : bpow radix2 (-45) = 256 * u.
Proof. simpl; lra. Qed.

Lemma u_value : u = / 9007199254740992.
Proof. reflexivity. Qed.

Lemma bernoulli_below t k : 0 <= t <= 1 -> 1 - INR k * t <= (1 - t) ^ k.
Proof.
intros range; induction k as [| k IH]; [simpl; lra |].
pose proof (pos_INR k) as k_ge0; rewrite S_INR, <- tech_pow_Rmult.
set (power := (1 - t) ^ k) in *; clearbody power; nra.
Qed.

Lemma power_128_below : 1 - 128 * u <= (1 - u) ^ 128.
Proof.
pose proof (bernoulli_below u 128) as H; rewrite INR_IZR_INZ in H.
apply H; rewrite u_value; lra.
Qed.

Lemma power_128_above : (1 + u) ^ 128 * (1 - u) ^ 128 <= 1.
Proof. rewrite <- Rpow_mult_distr, <- (pow1 128); apply pow_incr; rewrite u_value; lra. Qed.

Lemma next_up_ge x : 0 <= x -> x + bpow radix2 (-1074) <= next_up (-1074) 53 x.
Proof.
intros x_ge0; unfold next_up; rewrite succ_eq_pos by exact x_ge0; apply Rplus_le_compat_l.
rewrite <- (ulp_FLT_0 radix2 (-1074) 53); apply ulp_ge_ulp_0; typeclasses eauto.
Qed.

(** What [up] adds to [x] covers 129 units. *)
Lemma up_adds_enough x : is_double x -> 0 <= x -> x * (1 + 129 * u) <= up x.
Proof.
intros Fx x_ge0; unfold up; set (f := double (x * bpow radix2 (-45))).
assert (covers : x + f <= next_up (-1074) 53 (double (x + f)))
  by (apply succ_round_ge_id; typeclasses eauto).
destruct (error_N_FLT radix2 (-1074) 53 eq_refl (fun n => negb (Z.even n)) (x * bpow radix2 (-45)))
  as [eps [eta [eps_small [eta_small [one fE]]]]].
change (f = x * bpow radix2 (-45) * (1 + eps) + eta) in fE; rewrite slack_value in fE.
change (- (53) + 1)%Z with (-52)%Z in eps_small.
assert (half : / 2 * bpow radix2 (-52) = u) by (simpl; lra); rewrite half in eps_small.
set (tiny := bpow radix2 (-1074)) in *; assert (tiny_pos : 0 < tiny) by apply bpow_gt_0.
apply Rabs_le_inv in eps_small; apply Rabs_le_inv in eta_small.
destruct (Rle_or_lt (52776558133248 * tiny) x) as [large | small].
- apply Rle_trans with (2 := covers); rewrite fE; rewrite u_value in *.
  apply Rmult_integral in one; destruct one as [-> | ->]; [lra |].
  assert (shrink : x * (- / 9007199254740992) <= x * eps) by (apply Rmult_le_compat_l; lra).
  lra.
- assert (f_ge0 : 0 <= f).
  { apply round_ge_generic; try typeclasses eauto; [apply generic_format_0 |].
    apply Rmult_le_pos; [exact x_ge0 | apply bpow_ge_0]. }
  assert (above : x <= double (x + f)) by (apply round_ge_generic; try typeclasses eauto; [exact Fx | lra]).
  pose proof (next_up_ge (double (x + f)) ltac:(lra)) as step; fold tiny in step.
  rewrite u_value; lra.
Qed.

(** Each rounding loses at most a factor [1 - u], and so does each of at most 128 roundings of
    non-negative terms: then the result of [up] is not below the exact value [s]. *)
Theorem up_is_an_upper_bound x s : is_double x -> 0 <= s -> s * (1 - u) ^ 128 <= x -> s <= up x.
Proof.
intros Fx s_ge0 few; pose proof power_128_below as power.
set (loss := (1 - u) ^ 128) in *; clearbody loss; rewrite u_value in power.
assert (x_ge0 : 0 <= x) by nra.
apply Rle_trans with (2 := up_adds_enough x Fx x_ge0); rewrite u_value.
assert (covered : 1 <= loss * (1 + 129 * / 9007199254740992)) by lra.
apply Rle_trans with (s * (loss * (1 + 129 * / 9007199254740992))); [nra |].
rewrite <- Rmult_assoc; apply Rmult_le_compat_r; [lra | exact few].
Qed.

(** And the result of [down] is not above it. *)
Theorem down_is_a_lower_bound x s : 0 <= s -> 0 <= x <= s * (1 + u) ^ 128 -> down x <= s.
Proof.
intros s_ge0 few; apply Rle_trans with (x * (1 - bpow radix2 (-45))).
{ apply pred_round_le_id; typeclasses eauto. }
rewrite slack_value.
assert (gain_ge0 : 0 <= (1 + u) ^ 128) by (apply pow_le; rewrite u_value; clear; lra).
pose proof power_128_below as power; pose proof power_128_above as inverse.
set (loss := (1 - u) ^ 128) in *; clearbody loss.
set (gain := (1 + u) ^ 128) in *; clearbody gain; rewrite u_value in *.
assert (covered : gain * (1 - 256 * / 9007199254740992) <= 1).
{ apply Rle_trans with (2 := inverse), Rmult_le_compat_l; [exact gain_ge0 | lra]. }
apply Rle_trans with (s * gain * (1 - 256 * / 9007199254740992)).
- apply Rmult_le_compat_r; [lra | apply few].
- rewrite Rmult_assoc; apply Rle_trans with (s * 1); [apply Rmult_le_compat_l; assumption | lra].
Qed.

(** A rounded root, moved up. *)
Theorem sqrt_up_is_an_upper_bound x : sqrt x <= next_up (-1074) 53 (double (sqrt x)).
Proof. apply succ_round_ge_id; typeclasses eauto. Qed.

(** The computed [gamma_k = k u / (1 - k u)] is not below the exact one. *)
Theorem gamma_is_an_upper_bound k : (0 < k < 2 ^ 52)%Z ->
  let ku := double (IZR k * u) in
  IZR k * u / (1 - IZR k * u) <= up (double (ku / double (1 - ku))).
Proof.
intros range ku.
assert (k_range : 1 <= IZR k <= 4503599627370495) by (split; apply IZR_le; lia).
assert (exact : ku = IZR k * u).
{ apply round_generic; [typeclasses eauto |].
  apply generic_format_FLT; exists (Float radix2 k (-53)); [reflexivity | simpl; lia | simpl; lia]. }
clearbody ku; subst ku; set (s := IZR k * u / (1 - IZR k * u)); set (ku := IZR k * u) in *.
assert (ku_range : u <= ku <= / 2) by (unfold ku; rewrite u_value; lra).
assert (s_range : u <= s).
{ unfold s; apply Rmult_le_reg_r with (1 - ku); [lra |].
  unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; rewrite u_value in *; nra. }
destruct (products_obey_the_standard_model (-1074) 53 (1 - ku)) as [d1 [d1_small oneE]].
{ rewrite Rabs_pos_eq by lra; apply Rle_trans with (bpow radix2 (-1)); [apply bpow_le; lia | simpl; lra]. }
change (bpow radix2 (- (53))) with u in d1_small; apply Rabs_le_inv in d1_small; set (q := ku / double (1 - ku)).
assert (denominator : double (1 - ku) = (1 - ku) * (1 + d1)) by exact oneE.
assert (qE : q * (1 + d1) = s).
{ unfold q, s; rewrite denominator; field; rewrite u_value in *; split; lra. }
rewrite u_value in *.
assert (q_pos : 0 < q) by (apply Rmult_lt_reg_r with (1 + d1); lra).
assert (q_large : s * (1 - / 9007199254740992) <= q).
{ rewrite <- qE, Rmult_assoc; apply Rle_trans with (q * 1); [apply Rmult_le_compat_l; lra | lra]. }
destruct (products_obey_the_standard_model (-1074) 53 q) as [d2 [d2_small resultE]].
{ rewrite Rabs_pos_eq by lra; apply Rle_trans with (bpow radix2 (-54)); [apply bpow_le; lia |].
  assert (half : bpow radix2 (-54) = / 18014398509481984) by reflexivity; rewrite half; lra. }
change (bpow radix2 (- (53))) with u in d2_small; rewrite u_value in d2_small; apply Rabs_le_inv in d2_small.
apply up_is_an_upper_bound; [apply fl_float; typeclasses eauto | lra |].
assert (result : double q = q * (1 + d2)) by exact resultE; rewrite result.
assert (fewer : (1 - u) ^ 128 <= (1 - u) * (1 - u)).
{ replace 128%nat with (126 + 2)%nat by reflexivity; rewrite pow_add.
  assert (small : (1 - u) ^ 126 <= 1) by (rewrite <- (pow1 126); apply pow_incr; rewrite u_value; clear; lra).
  set (rest := (1 - u) ^ 126) in *; clearbody rest; rewrite u_value; clear - small; lra. }
set (loss := (1 - u) ^ 128) in *; clearbody loss; rewrite u_value in fewer.
apply Rle_trans with (1 := Rmult_le_compat_l s _ _ ltac:(lra) fewer).
rewrite <- Rmult_assoc; apply Rmult_le_compat; lra.
Qed.
