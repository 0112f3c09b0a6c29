(** * Momentum: how large may the step be

    With momentum an error along a direction of curvature [h] obeys a recursion of order two, and it
    dies out when both roots of a quadratic polynomial lie inside the unit circle.  For real
    coefficients this is a pair of inequalities.  Heavy ball allows steps up to [2 (1 + beta) / h],
    almost twice those of plain descent; Nesterov's method [2 (1 + beta) / ((1 + 2 beta) h)], which is
    less. *)

From Coq Require Import Reals Lra Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

(** Every root of [z^2 - t z + d] has modulus below one. *)
Definition stable (t d : R) : Prop :=
  forall z : C, (z * z - RtoC t * z + RtoC d = 0)%C -> Cmod z < 1.

(** A root [x + i y] in real terms. *)
Lemma root_parts t d x y :
  ((x, y) * (x, y) - RtoC t * (x, y) + RtoC d = 0)%C <->
  x * x - y * y - t * x + d = 0 /\ y * (2 * x - t) = 0.
Proof.
unfold Cmult, Cminus, Cplus, Copp, RtoC; simpl; split.
- intros H; injection H; intros; split; lra.
- intros [re im]; apply injective_projections; simpl; lra.
Qed.

Lemma modulus_below_one x y : Cmod (x, y) < 1 <-> x * x + y * y < 1.
Proof.
unfold Cmod; simpl; rewrite !Rmult_1_r; pose proof (Rle_0_sqr x); pose proof (Rle_0_sqr y).
unfold Rsqr in *; split; intros H1.
- apply Rnot_le_lt; intros H2; apply sqrt_le_1_alt in H2; rewrite sqrt_1 in H2; lra.
- rewrite <- sqrt_1; apply sqrt_lt_1_alt; lra.
Qed.

(** The criterion of Schur and Cohn for polynomials of degree two. *)
Theorem schur_cohn t d : stable t d <-> Rabs d < 1 /\ Rabs t < 1 + d.
Proof.
split.
- intros inside.
  destruct (Rlt_or_le (t * t) (4 * d)) as [complex | real].
  + set (y := sqrt (d - t * t / 4)).
    assert (y2 : y * y = d - t * t / 4) by (apply sqrt_sqrt; lra).
    assert (root : Cmod (t / 2, y) < 1).
    { apply inside, root_parts; rewrite y2; split; field. }
    apply modulus_below_one in root; rewrite y2 in root.
    split; apply Rabs_def1; nra.
  + set (s := sqrt (t * t / 4 - d)).
    assert (s2 : s * s = t * t / 4 - d) by (apply sqrt_sqrt; lra).
    assert (roots : Cmod (t / 2 + s, 0) < 1 /\ Cmod (t / 2 - s, 0) < 1).
    { split; apply inside, root_parts; split; nra. }
    rewrite !modulus_below_one in roots; destruct roots as [above below].
    assert (range : -1 < t / 2 + s < 1 /\ -1 < t / 2 - s < 1) by (split; split; nra).
    split; apply Rabs_def1; nra.
- intros [d_small t_small] [x y] root; apply root_parts in root; destruct root as [re im].
  apply Rabs_def2 in d_small; apply Rabs_def2 in t_small; apply modulus_below_one.
  destruct (Req_dec y 0) as [-> | y0].
  + assert (x_lt : x < 1) by (apply Rnot_le_lt; intros H; nra).
    assert (x_gt : -1 < x) by (apply Rnot_le_lt; intros H; nra).
    nra.
  + assert (x2 : 2 * x = t) by (apply Rminus_diag_uniq, Rmult_eq_reg_l with y; lra).
    nra.
Qed.

(** ** The recursions *)

(** Heavy ball on the quadratic of curvature [h]: velocity [v], error [x]. *)
Fixpoint heavy_ball (beta e h x v : R) (t : nat) : R * R :=
  match t with
  | O => (x, v)
  | S t' => let (x', v') := heavy_ball beta e h x v t' in
            let v'' := beta * v' - e * (h * x') in (x' + v'', v'')
  end.

(** Nesterov's method takes the gradient where the velocity alone would lead. *)
Fixpoint nesterov (beta e h x v : R) (t : nat) : R * R :=
  match t with
  | O => (x, v)
  | S t' => let (x', v') := nesterov beta e h x v t' in
            let v'' := beta * v' - e * (h * (x' + beta * v')) in (x' + v'', v'')
  end.

Lemma heavy_ball_velocity beta e h x v t :
  snd (heavy_ball beta e h x v (S t)) =
  fst (heavy_ball beta e h x v (S t)) - fst (heavy_ball beta e h x v t).
Proof. simpl; destruct heavy_ball; simpl; ring. Qed.

Lemma nesterov_velocity beta e h x v t :
  snd (nesterov beta e h x v (S t)) =
  fst (nesterov beta e h x v (S t)) - fst (nesterov beta e h x v t).
Proof. simpl; destruct nesterov; simpl; ring. Qed.

(** Eliminating the velocity leaves a recursion of order two. *)
Theorem heavy_ball_recursion beta e h x v t :
  let error n := fst (heavy_ball beta e h x v n) in
  error (S (S t)) - (1 + beta - e * h) * error (S t) + beta * error t = 0.
Proof.
intros error; unfold error; pose proof (heavy_ball_velocity beta e h x v t) as velocity.
change (heavy_ball beta e h x v (S (S t))) with
  (let (x', v') := heavy_ball beta e h x v (S t) in
   let v'' := beta * v' - e * (h * x') in (x' + v'', v'')).
destruct (heavy_ball beta e h x v (S t)) as [x' v']; simpl in *; rewrite velocity; ring.
Qed.

Theorem nesterov_recursion beta e h x v t :
  let error n := fst (nesterov beta e h x v n) in
  error (S (S t)) - (1 + beta) * (1 - e * h) * error (S t) + beta * (1 - e * h) * error t = 0.
Proof.
intros error; unfold error; pose proof (nesterov_velocity beta e h x v t) as velocity.
change (nesterov beta e h x v (S (S t))) with
  (let (x', v') := nesterov beta e h x v (S t) in
   let v'' := beta * v' - e * (h * (x' + beta * v')) in (x' + v'', v'')).
destruct (nesterov beta e h x v (S t)) as [x' v']; simpl in *; rewrite velocity; ring.
Qed.

(** ** The limits of the step *)

Theorem heavy_ball_is_stable_below beta e h : 0 <= beta < 1 ->
  stable (1 + beta - e * h) beta <-> 0 < e * h < 2 * (1 + beta).
Proof.
intros range; rewrite schur_cohn; split.
- intros [_ H]; apply Rabs_def2 in H; lra.
- intros H; split; apply Rabs_def1; lra.
Qed.

Theorem nesterov_is_stable_below beta e h : 0 <= beta < 1 ->
  stable ((1 + beta) * (1 - e * h)) (beta * (1 - e * h)) <->
  0 < e * h < 2 * (1 + beta) / (1 + 2 * beta).
Proof.
intros range; rewrite schur_cohn; set (s := e * h).
assert (limit : s < 2 * (1 + beta) / (1 + 2 * beta) <-> s * (1 + 2 * beta) < 2 * (1 + beta)).
{ split; intros H.
  - apply Rmult_lt_compat_r with (r := 1 + 2 * beta) in H; [| lra].
    unfold Rdiv in H; rewrite Rmult_assoc, Rinv_l in H; lra.
  - apply Rmult_lt_reg_r with (1 + 2 * beta); [lra |].
    unfold Rdiv; rewrite Rmult_assoc, Rinv_l; lra. }
rewrite limit; split.
- intros [_ H]; apply Rabs_def2 in H; nra.
- intros H; split; apply Rabs_def1; nra.
Qed.

(** ** Stable recursions die out *)

Lemma roots_exist t d : exists z1 z2 : C, (z1 + z2 = RtoC t)%C /\ (z1 * z2 = RtoC d)%C.
Proof.
destruct (Rlt_or_le (t * t) (4 * d)) as [complex | real].
- set (y := sqrt (d - t * t / 4)).
  assert (y2 : y * y = d - t * t / 4) by (apply sqrt_sqrt; lra).
  exists (t / 2, y), (t / 2, - y); unfold Cplus, Cmult, RtoC; simpl.
  split; apply injective_projections; simpl; nra.
- set (s := sqrt (t * t / 4 - d)).
  assert (s2 : s * s = t * t / 4 - d) by (apply sqrt_sqrt; lra).
  exists (t / 2 + s, 0), (t / 2 - s, 0); unfold Cplus, Cmult, RtoC; simpl.
  split; apply injective_projections; simpl; nra.
Qed.

Lemma roots_inside t d z1 z2 : stable t d -> (z1 + z2 = RtoC t)%C -> (z1 * z2 = RtoC d)%C ->
  Cmod z1 < 1 /\ Cmod z2 < 1.
Proof.
intros inside sum product; split; apply inside; rewrite <- sum, <- product; ring.
Qed.

(** Errors that obey a stable recursion tend to zero, whatever the start. *)
Theorem stable_recursions_die_out t d (x : nat -> R) : stable t d ->
  (forall n, x (S (S n)) - t * x (S n) + d * x n = 0) -> is_lim_seq x 0.
Proof.
intros inside recursion; destruct (roots_exist t d) as [z1 [z2 [sum product]]].
destruct (roots_inside t d z1 z2 inside sum product) as [z1_small z2_small].
pose (y n := (RtoC (x (S n)) - z2 * RtoC (x n))%C).
assert (y_geometric : forall n, Cmod (y n) = Cmod z1 ^ n * Cmod (y O)).
{ induction n as [| n IH]; [simpl; ring |].
  assert (next : y (S n) = (z1 * y n)%C).
  { unfold y; replace (x (S (S n))) with (t * x (S n) - d * x n) by (specialize (recursion n); lra).
    rewrite RtoC_minus, !RtoC_mult, <- sum, <- product; ring. }
  rewrite next, Cmod_mult, IH; simpl; ring. }
set (r := Rmax (Cmod z1) (Cmod z2)); set (rho := (1 + r) / 2); set (K := Cmod (y O)).
assert (r_lt1 : r < 1) by (apply Rmax_lub_lt; assumption).
assert (r_z1 : Cmod z1 <= r) by apply Rmax_l; assert (r_z2 : Cmod z2 <= r) by apply Rmax_r.
pose proof (Cmod_ge_0 z1) as z1_ge0; pose proof (Cmod_ge_0 z2) as z2_ge0.
assert (between : r < rho < 1) by (unfold rho; lra).
assert (K_ge0 : 0 <= K) by apply Cmod_ge_0.
set (M := Rabs (x O) + K / (rho - r)).
assert (quotient : (rho - r) * (K / (rho - r)) = K) by (field; lra).
assert (quotient_ge0 : 0 <= K / (rho - r)) by (apply Rdiv_le_0_compat; lra).
assert (M_large : K <= (rho - r) * M).
{ unfold M; pose proof (Rabs_pos (x O)); nra. }
assert (M_ge0 : 0 <= M) by (unfold M; pose proof (Rabs_pos (x O)); lra).
assert (below : forall n, Rabs (x n) <= M * rho ^ n).
{ induction n as [| n IH]; [simpl; unfold M; lra |].
  assert (power : Cmod z1 ^ n <= rho ^ n) by (apply pow_incr; lra).
  assert (step : Rabs (x (S n)) <= Cmod z2 * Rabs (x n) + Cmod (y n)).
  { rewrite <- !Cmod_R, <- Cmod_mult.
    replace (RtoC (x (S n))) with (z2 * RtoC (x n) + y n)%C by (unfold y; ring).
    apply Cmod_triangle. }
  rewrite y_geometric in step; fold K in step; simpl.
  pose proof (Rabs_pos (x n)) as x_ge0; assert (rho_ge0 : 0 <= rho ^ n) by (apply pow_le; lra).
  apply Rle_trans with (1 := step), Rle_trans with (r * (M * rho ^ n) + rho ^ n * K).
  - apply Rplus_le_compat; [apply Rmult_le_compat | apply Rmult_le_compat_r]; assumption.
  - nra. }
apply is_lim_seq_abs_0.
apply is_lim_seq_le_le with (fun _ => 0) (fun n => M * rho ^ n).
- intros n; split; [apply Rabs_pos | apply below].
- apply is_lim_seq_const.
- replace (Finite 0) with (Rbar_mult M 0) by (simpl; f_equal; ring).
  apply is_lim_seq_scal_l, is_lim_seq_geom; rewrite Rabs_pos_eq; lra.
Qed.

(** Training with heavy ball converges below its limit. *)
Theorem heavy_ball_converges beta e h x v : 0 <= beta < 1 -> 0 < e * h < 2 * (1 + beta) ->
  is_lim_seq (fun t => fst (heavy_ball beta e h x v t)) 0.
Proof.
intros range below.
apply stable_recursions_die_out with (1 + beta - e * h) beta.
- now apply heavy_ball_is_stable_below.
- intros n; apply heavy_ball_recursion.
Qed.

(** And with Nesterov's method below its own. *)
Theorem nesterov_converges beta e h x v : 0 <= beta < 1 ->
  0 < e * h < 2 * (1 + beta) / (1 + 2 * beta) ->
  is_lim_seq (fun t => fst (nesterov beta e h x v t)) 0.
Proof.
intros range below.
apply stable_recursions_die_out with ((1 + beta) * (1 - e * h)) (beta * (1 - e * h)).
- now apply nesterov_is_stable_below.
- intros n; apply nesterov_recursion.
Qed.
