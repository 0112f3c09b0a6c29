(** * Which updates a format can hold

    Weights are stored with [p] bits: 24 for f32, 11 for f16, 8 for bf16.  A step that is shorter than
    half the distance from the weight to its neighbour is rounded away, every time, and training stalls
    although the gradient is not zero.  The distance halves just below a power of two.  Numbers that
    are at most half of the smallest subnormal become zero; a product that keeps shrinking by a factor
    above one half never does: it sticks at the smallest subnormal.

    Formats are Flocq's [FLT]: [p] bits, smallest positive number [2^emin]; rounding is to nearest, ties
    to even, as in IEEE 754. *)

From Coq Require Import Reals ZArith Lia Lra.
From Flocq Require Import Core Plus_error Mult_error Relative Pff2Flocq.
Open Scope R_scope.

(** The numbers of the format. *)
Definition is_float (emin p : Z) (x : R) : Prop := generic_format radix2 (FLT_exp emin p) x.

(** The result of an operation whose exact result is [x]. *)
Definition fl (emin p : Z) (x : R) : R := round radix2 (FLT_exp emin p) ZnearestE x.

(** The next number of the format above and below. *)
Definition next_up (emin p : Z) (w : R) : R := succ radix2 (FLT_exp emin p) w.
Definition next_down (emin p : Z) (w : R) : R := pred radix2 (FLT_exp emin p) w.

Section Format.
Variables emin p : Z.
Context {p_gt_0 : Prec_gt_0 p}.

Local Notation fexp := (FLT_exp emin p).
Local Notation is_float := (is_float emin p).
Local Notation fl := (fl emin p).
Local Notation next_up := (next_up emin p).
Local Notation next_down := (next_down emin p).
Local Notation bpow := (bpow radix2).

Lemma fl_float x : is_float (fl x).
Proof. apply generic_format_round; typeclasses eauto. Qed.

Lemma next_up_float w : is_float w -> is_float (next_up w).
Proof. apply generic_format_succ; typeclasses eauto. Qed.

Lemma next_down_float w : is_float w -> is_float (next_down w).
Proof. apply generic_format_pred; typeclasses eauto. Qed.

Lemma next_up_next_down w : is_float w -> next_up (next_down w) = w.
Proof. apply succ_pred; typeclasses eauto. Qed.

Lemma next_down_next_up w : is_float w -> next_down (next_up w) = w.
Proof. apply pred_succ; typeclasses eauto. Qed.

(** What lies below a midpoint is rounded to the lower neighbour or further down. *)
Lemma fl_below_midpoint w x : is_float w -> x < (w + next_up w) / 2 -> fl x <= w.
Proof. apply round_N_le_midp; typeclasses eauto. Qed.

Lemma fl_above_midpoint w x : is_float w -> (w + next_down w) / 2 < x -> w <= fl x.
Proof. apply round_N_ge_midp; typeclasses eauto. Qed.

(** ** Lost updates *)

(** A step shorter than half the distance to the neighbour on its side is lost. *)
Theorem short_steps_are_lost w d : is_float w ->
  - (w - next_down w) / 2 < d < (next_up w - w) / 2 -> fl (w + d) = w.
Proof.
intros Fw [below above]; apply Rle_antisym.
- apply fl_below_midpoint; [exact Fw | lra].
- apply fl_above_midpoint; [exact Fw | lra].
Qed.

(** A longer step is not. *)
Theorem long_steps_are_not_lost w d : is_float w -> w <> 0 ->
  d < - (w - next_down w) / 2 \/ (next_up w - w) / 2 < d -> fl (w + d) <> w.
Proof.
intros Fw w0 [below | above].
- apply Rlt_not_eq, Rle_lt_trans with (next_down w); [| now apply pred_lt_id].
  apply fl_below_midpoint; [now apply next_down_float |].
  rewrite next_up_next_down by exact Fw; lra.
- apply Rgt_not_eq, Rlt_le_trans with (next_up w); [now apply succ_gt_id |].
  apply fl_above_midpoint; [now apply next_up_float |].
  rewrite next_down_next_up by exact Fw; lra.
Qed.

(** The distances at a normal power of two: half as long downward as upward. *)
Theorem distances_at_a_power_of_two k : (emin + p <= k)%Z ->
  next_up (bpow k) - bpow k = 2 * bpow (k - p) /\ bpow k - next_down (bpow k) = bpow (k - p).
Proof.
intros normal; split.
- assert (up : next_up (bpow k) = bpow k + ulp radix2 fexp (bpow k))
    by (apply succ_eq_pos, bpow_ge_0).
  rewrite up, ulp_bpow; unfold fexp; rewrite Z.max_l by lia.
  replace (k + 1 - p)%Z with (1 + (k - p))%Z by ring; rewrite bpow_plus; change (bpow 1) with 2; ring.
- assert (down : next_down (bpow k) = bpow k - bpow (fexp k)) by apply pred_bpow.
  rewrite down; unfold fexp; rewrite Z.max_l by lia; ring.
Qed.

(** So half a unit in the last place is not the whole story: just below a power of two a step
    between a quarter and a half of a unit survives downward, and is lost upward. *)
Theorem half_a_unit_is_not_enough k d : (emin + p <= k)%Z ->
  let unit := ulp radix2 fexp (bpow k) in
  unit / 4 < d < unit / 2 -> fl (bpow k + d) = bpow k /\ fl (bpow k - d) <> bpow k.
Proof.
intros normal unit range; destruct (distances_at_a_power_of_two k normal) as [above below].
assert (unitE : unit = 2 * bpow (k - p)).
{ rewrite <- above; apply Rplus_eq_reg_l with (bpow k).
  transitivity (next_up (bpow k)); [symmetry; apply succ_eq_pos, bpow_ge_0 | ring]. }
assert (p_pos : (0 < p)%Z) by exact p_gt_0.
assert (Fk : is_float (bpow k)) by (apply generic_format_FLT_bpow; [typeclasses eauto | lia]).
pose proof (bpow_gt_0 radix2 (k - p)); clearbody unit; split.
- apply short_steps_are_lost; [exact Fk | lra].
- apply long_steps_are_not_lost; [exact Fk | apply Rgt_not_eq, bpow_gt_0 | left; lra].
Qed.

(** ** Ties *)

Lemma nearest_even_at_half n : ZnearestE (IZR n + / 2) = if Z.even n then n else (n + 1)%Z.
Proof.
unfold Znearest; rewrite (Zfloor_imp n) by (rewrite plus_IZR; lra).
replace (IZR n + / 2 - IZR n) with (/ 2) by ring; rewrite Rcompare_Eq by reflexivity.
rewrite (Zceil_imp (n + 1)%Z) by (replace (n + 1 - 1)%Z with n by ring; rewrite plus_IZR; lra).
now destruct (Z.even n).
Qed.

Lemma fl_scaled x e : cexp radix2 fexp x = e -> fl x = IZR (ZnearestE (x * bpow (- e))) * bpow e.
Proof. now intros <-. Qed.

Lemma cexp_of_binade x e : (emin <= e)%Z -> bpow (e + p - 1) <= x < bpow (e + p) ->
  cexp radix2 fexp x = e.
Proof.
intros normal range; unfold cexp, FLT_exp; rewrite (mag_unique_pos radix2 x (e + p)) by exact range.
lia.
Qed.

(** Halfway between two neighbours the even significand wins. *)
Lemma fl_tie m e : (emin <= e)%Z -> (2 ^ (p - 1) <= m < 2 ^ p)%Z ->
  fl (IZR m * bpow e + bpow e / 2) = IZR (if Z.even m then m else m + 1) * bpow e.
Proof.
intros normal range; set (w := IZR m * bpow e).
pose proof (bpow_gt_0 radix2 e) as unit_pos; assert (p_pos : (0 < p)%Z) by exact p_gt_0.
assert (power : forall q, (0 <= q)%Z -> bpow (e + q) = IZR (2 ^ q) * bpow e).
{ intros q q_ge0; rewrite bpow_plus, Rmult_comm; f_equal; symmetry; now apply (IZR_Zpower radix2). }
assert (magnitude : cexp radix2 fexp (w + bpow e / 2) = e).
{ apply cexp_of_binade; [exact normal |].
  replace (e + p - 1)%Z with (e + (p - 1))%Z by ring; rewrite !power by lia.
  assert (low : IZR (2 ^ (p - 1)) <= IZR m) by (apply IZR_le; lia).
  assert (high : IZR m + 1 <= IZR (2 ^ p)) by (rewrite <- plus_IZR; apply IZR_le; lia).
  unfold w; split; nra. }
rewrite (fl_scaled _ _ magnitude).
replace ((w + bpow e / 2) * bpow (- e)) with (IZR m + / 2).
2: { unfold w; rewrite bpow_opp; field; lra. }
now rewrite nearest_even_at_half.
Qed.

(** A step of exactly half a unit is lost if and only if the significand of the weight is even. *)
Theorem ties_are_lost_at_even_significands m e : (emin <= e)%Z -> (2 ^ (p - 1) <= m < 2 ^ p)%Z ->
  let w := IZR m * bpow e in fl (w + bpow e / 2) = w <-> Z.even m = true.
Proof.
intros normal range w; unfold w; rewrite fl_tie by assumption.
pose proof (bpow_gt_0 radix2 e); destruct (Z.even m); [tauto |].
rewrite plus_IZR; split; [intro; exfalso; nra | discriminate].
Qed.

(** ** The thresholds of zero and of infinity *)

Lemma nearest_even_is_zero z : 0 <= z -> ZnearestE z = 0%Z <-> z <= / 2.
Proof.
intros z_ge0; split; intros H.
- pose proof (Znearest_half (fun n => negb (Z.even n)) z) as near.
  rewrite H, Rminus_0_r, Rabs_pos_eq in near; lra.
- destruct (Rle_lt_or_eq_dec _ _ H) as [below | tie].
  + apply Znearest_imp; rewrite Rminus_0_r, Rabs_pos_eq; lra.
  + rewrite tie; replace (/ 2) with (IZR 0 + / 2) by ring; now rewrite nearest_even_at_half.
Qed.

Lemma zero_threshold_pos x : 0 < x -> fl x = 0 <-> x <= bpow emin / 2.
Proof.
intros x_pos; pose proof (bpow_gt_0 radix2 emin) as tiny_pos.
assert (p_pos : (0 < p)%Z) by exact p_gt_0.
destruct (Rlt_or_le x (bpow (emin + p))) as [small | large].
- assert (grid : cexp radix2 fexp x = emin).
  { rewrite cexp_FLT_FIX; [reflexivity | lra | rewrite Rabs_pos_eq; lra]. }
  rewrite (fl_scaled _ _ grid); set (z := x * bpow (- emin)).
  assert (xE : x = z * bpow emin).
  { unfold z; rewrite bpow_opp; field; lra. }
  assert (z_pos : 0 < z) by (apply Rmult_lt_0_compat; [exact x_pos | apply bpow_gt_0]).
  assert (same : ZnearestE z = 0%Z <-> IZR (ZnearestE z) * bpow emin = 0).
  { split; [intros ->; ring |].
    intros H; apply eq_IZR, Rmult_eq_reg_r with (bpow emin); lra. }
  rewrite <- same, nearest_even_is_zero by lra; rewrite xE at 1.
  split; intro; nra.
- assert (above : bpow emin <= bpow (emin + p)) by (apply bpow_le; lia).
  assert (positive : bpow emin <= fl x).
  { apply round_ge_generic; try typeclasses eauto; [| lra].
    apply generic_format_FLT_bpow; [typeclasses eauto | lia]. }
  split; lra.
Qed.

(** A number becomes zero exactly when it is at most half of the smallest positive one. *)
Theorem zero_threshold x : fl x = 0 <-> Rabs x <= bpow emin / 2.
Proof.
pose proof (bpow_gt_0 radix2 emin) as tiny_pos.
destruct (Req_dec x 0) as [-> | x0].
- rewrite Rabs_R0; split; [lra | intros _; apply round_0; typeclasses eauto].
- rewrite <- zero_threshold_pos by now apply Rabs_pos_lt.
  assert (modulus : fl (Rabs x) = Rabs (fl x)) by (apply round_NE_abs; typeclasses eauto).
  rewrite modulus; split; [intros ->; apply Rabs_R0 |].
  intros H; destruct (Req_dec (fl x) 0) as [| nz]; [assumption | now apply Rabs_no_R0 in nz].
Qed.

(** Without a limit on the exponent a number reaches [2^emax] exactly when it is at least the largest
    number below plus half its spacing: this is when IEEE arithmetic returns infinity. *)
Theorem infinity_threshold emax x : (emin + p <= emax)%Z ->
  bpow emax <= fl x <-> bpow emax - bpow (emax - p) / 2 <= x.
Proof.
intros normal; assert (p_pos : (0 < p)%Z) by exact p_gt_0.
destruct (distances_at_a_power_of_two emax normal) as [_ below].
pose proof (bpow_gt_0 radix2 (emax - p)) as unit_pos.
assert (F : is_float (bpow emax)) by (apply generic_format_FLT_bpow; [typeclasses eauto | lia]).
destruct (Rtotal_order x (bpow emax - bpow (emax - p) / 2)) as [less | [-> | more]].
- assert (fl x <= next_down (bpow emax)); [| split; lra].
  apply fl_below_midpoint; [now apply next_down_float | rewrite next_up_next_down by exact F; lra].
- split; [lra | intros _].
  assert (top : bpow emax = IZR (2 ^ p) * bpow (emax - p)).
  { replace emax with (p + (emax - p))%Z at 1 by ring; rewrite bpow_plus; f_equal; symmetry.
    apply (IZR_Zpower radix2); lia. }
  replace (bpow emax - bpow (emax - p) / 2)
    with (IZR (2 ^ p - 1) * bpow (emax - p) + bpow (emax - p) / 2)
    by (rewrite top, minus_IZR; field).
  assert (double : (2 ^ p = 2 * 2 ^ (p - 1))%Z).
  { rewrite <- Z.pow_succ_r by lia; f_equal; lia. }
  assert (one : (0 < 2 ^ (p - 1))%Z) by (apply Z.pow_pos_nonneg; lia).
  rewrite fl_tie by lia.
  rewrite Z.even_sub, Z.even_pow by lia; simpl Bool.eqb; cbv iota.
  replace (2 ^ p - 1 + 1)%Z with (2 ^ p)%Z by ring; rewrite top; apply Rle_refl.
- assert (bpow emax <= fl x); [| split; lra].
  apply fl_above_midpoint; [exact F | lra].
Qed.

(** ** Sums and products whose rounding error is computed exactly *)

(** The rounded sum, and what [two_sum], [quick_two_sum] and [two_prod] return as its error. *)
Definition two_sum_error a b :=
  let s := fl (a + b) in let t := fl (s - a) in fl (fl (a - fl (s - t)) + fl (b - t)).
Definition quick_two_sum_error a b := let s := fl (a + b) in fl (b - fl (s - a)).
Definition two_prod_error a b := let q := fl (a * b) in fl (a * b - q).

Lemma ties_are_symmetric n : negb (Z.even n) = negb (negb (Z.even (- (n + 1)))).
Proof. rewrite Z.even_opp, Z.even_add; now destruct (Z.even n). Qed.

Lemma fl_opp x : fl (- x) = - fl x.
Proof. apply round_NE_opp. Qed.

Lemma fl_of_float x : is_float x -> fl x = x.
Proof. apply round_generic; typeclasses eauto. Qed.

(** The error of a sum is a number of the format, and [two_sum] returns it. *)
Theorem two_sum_is_error_free a b : (1 < p)%Z -> (emin <= 0)%Z -> is_float a -> is_float b ->
  is_float (a + b - fl (a + b)) /\ fl (a + b) + two_sum_error a b = a + b.
Proof.
intros p_gt1 emin_le0 Fa Fb; split.
- replace (a + b - fl (a + b)) with (- (fl (a + b) - (a + b))) by ring.
  apply generic_format_opp, plus_error; typeclasses eauto || assumption.
- exact (TwoSum_correct emin p _ p_gt1 emin_le0 ties_are_symmetric a b Fa Fb).
Qed.

(** So does [quick_two_sum] if the first number is the larger one, or zero. *)
Theorem quick_two_sum_is_error_free a b : (1 < p)%Z -> (emin <= 0)%Z -> is_float a -> is_float b ->
  Rabs b <= Rabs a \/ a = 0 -> fl (a + b) + quick_two_sum_error a b = a + b.
Proof.
intros p_gt1 emin_le0 Fa Fb [ordered | ->]; unfold quick_two_sum_error.
- rewrite <- (Fast2Sum_correct emin p _ p_gt1 emin_le0 ties_are_symmetric a b Fa Fb ordered) at 3.
  f_equal; apply (f_equal fl); unfold Rminus; f_equal; rewrite <- fl_opp; apply (f_equal fl).
  fold (fl (a + b)); ring.
- rewrite Rplus_0_l, (fl_of_float b Fb), Rminus_0_r, (fl_of_float b Fb), Rminus_diag_eq by reflexivity.
  assert (zero : fl 0 = 0) by (apply round_0; typeclasses eauto).
  rewrite zero; ring.
Qed.

(** The error of a product is a number of the format unless it underflows; one fused multiply-add
    returns it. *)
Theorem two_prod_is_error_free a b : is_float a -> is_float b ->
  a * b = 0 \/ bpow (emin + 2 * p - 1) <= Rabs (a * b) ->
  is_float (a * b - fl (a * b)) /\ fl (a * b) + two_prod_error a b = a * b.
Proof.
intros Fa Fb range.
assert (F : is_float (a * b - fl (a * b))).
{ replace (a * b - fl (a * b)) with (- (fl (a * b) - a * b)) by ring.
  apply generic_format_opp, mult_error_FLT; try typeclasses eauto; tauto. }
split; [exact F |].
unfold two_prod_error; rewrite (fl_of_float _ F); ring.
Qed.

(** ** The standard model *)

(** An addition is exact up to one factor [1 + d], whatever underflows. *)
Theorem sums_obey_the_standard_model a b : is_float a -> is_float b ->
  exists d, Rabs d <= bpow (- p) /\ fl (a + b) = (a + b) * (1 + d).
Proof.
intros Fa Fb.
destruct (FLT_plus_error_N_ex radix2 emin p (fun n => negb (Z.even n)) a b Fa Fb)
  as [d [d_small flE]].
exists d; split; [| exact flE]; apply Rle_trans with (1 := d_small).
assert (unit : u_ro radix2 p = bpow (- p)).
{ unfold u_ro; rewrite bpow_plus; change (bpow 1) with 2; field. }
rewrite unit; pose proof (bpow_gt_0 radix2 (- p)) as u_pos.
apply Rmult_le_reg_r with (1 + bpow (- p)); [lra |].
unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; nra.
Qed.

(** So is a product that does not underflow. *)
Theorem products_obey_the_standard_model x : bpow (emin + p - 1) <= Rabs x ->
  exists d, Rabs d <= bpow (- p) /\ fl x = x * (1 + d).
Proof.
intros range; destruct (relative_error_N_FLT_ex radix2 emin p p_gt_0 (fun n => negb (Z.even n)) x range)
  as [d [d_small flE]].
exists d; split; [| exact flE].
rewrite bpow_plus in d_small; change (bpow 1) with 2 in d_small; lra.
Qed.
End Format.
