(** * Rescaling: what a factor on every layer's gradient does to the direction of the step

    LARS, clipping by layer and learning rates by layer multiply the gradient of each layer by its own positive
    factor.  The step still descends, but it turns.  How far depends on the ratio of the
    largest to the smallest factor alone, by the inequality of Kantorovich, and two layers suffice to turn it as far. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Rescaling.
Variable R : rcfType.

(** [G l] is the squared norm of the gradient of layer [l] and [f l] its factor: the cosine of
    the angle between the gradient and the step. *)
Definition step_cosine n (G f : 'I_n -> R) : R :=
  (\sum_l f l * G l) / (Num.sqrt (\sum_l G l) * Num.sqrt (\sum_l f l ^+ 2 * G l)).

(** Kantorovich's inequality. *)
Theorem kantorovich n (G f : 'I_n -> R) a b :
  0 < a -> (forall l, 0 <= G l) -> (forall l, a <= f l /\ f l <= b) ->
  4%:R * (a * b) * ((\sum_l G l) * (\sum_l f l ^+ 2 * G l)) <= ((a + b) * \sum_l f l * G l) ^+ 2.
Proof.
move=> a0 G0 range; set S0 := \sum_l G l; set S1 := \sum_l f l * G l; set S2 := \sum_l _ ^+ 2 * _.
have key : S2 + a * b * S0 <= (a + b) * S1.
  rewrite -subr_ge0 /S0 /S1 /S2 !mulr_sumr -big_split -sumrB; apply: sumr_ge0 => l _ /=.
  have [lo hi] := range l.
  have -> : (a + b) * (f l * G l) - (f l ^+ 2 * G l + a * b * G l) = (f l - a) * (b - f l) * G l by ring.
  by rewrite !mulr_ge0 ?subr_ge0.
have f0 l : 0 < f l by have [lo _] := range l; exact: lt_le_trans lo.
have [n0|n0] := posnP n.
  by subst n; rewrite /S0 big_ord0 mul0r mulr0 sqr_ge0.
have b0 : 0 < b by have [lo hi] := range (Ordinal n0); exact: lt_le_trans (le_trans lo hi).
have p0 : 0 <= S0 by exact: sumr_ge0.
have p2 : 0 <= S2 by apply: sumr_ge0 => l _; rewrite mulr_ge0 ?sqr_ge0.
apply: (@le_trans _ _ ((S2 + a * b * S0) ^+ 2)); last first.
  by rewrite ler_pexpn2r ?nnegrE ?(le_trans _ key) // addr_ge0 // !mulr_ge0 // ltW.
rewrite -subr_ge0; have -> : (S2 + a * b * S0) ^+ 2 - 4%:R * (a * b) * (S0 * S2) = (S2 - a * b * S0) ^+ 2 by ring.
exact: sqr_ge0.
Qed.

(** The angle between the gradient and the step is bounded by the ratio of the factors. *)
Theorem rescaled_step_cosine n (G f : 'I_n -> R) a b :
  0 < a -> (forall l, 0 <= G l) -> 0 < \sum_l G l -> (forall l, a <= f l /\ f l <= b) ->
  2%:R * Num.sqrt (a * b) / (a + b) <= step_cosine G f.
Proof.
move=> a0 G0 S0 range.
have f0 l : 0 < f l by have [lo _] := range l; exact: lt_le_trans lo.
have n0 : (0 < n)%N by case: n G f S0 {G0 range f0} => // G f; rewrite big_ord0 ltxx.
have b0 : 0 < b by have [lo hi] := range (Ordinal n0); exact: lt_le_trans (le_trans lo hi).
have S2 : 0 < \sum_l f l ^+ 2 * G l.
  apply: (@lt_le_trans _ _ (a ^+ 2 * \sum_l G l)); first by rewrite mulr_gt0 ?exprn_gt0.
  rewrite mulr_sumr; apply: ler_sum => l _; rewrite ler_wpmul2r // ler_pexpn2r ?nnegrE ?(ltW a0) ?(ltW (f0 l)) //.
  by have [] := range l.
rewrite /step_cosine ler_pdivl_mulr ?mulr_gt0 ?sqrtr_gt0 // mulrAC ler_pdivr_mulr ?addr_gt0 //.
have S1 : 0 <= \sum_l f l * G l by apply: sumr_ge0 => l _; rewrite mulr_ge0 // ltW.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?mulr_ge0 ?sqrtr_ge0 ?addr_ge0 ?(ltW a0) ?(ltW b0) ?ler0n //.
rewrite !exprMn !sqr_sqrtr ?mulr_ge0 ?(ltW a0) ?(ltW b0) ?(ltW S0) ?(ltW S2) //.
rewrite -[X in _ <= X]exprMn mulrC [X in _ <= X ^+ 2]mulrC; have := kantorovich a0 G0 range.
by congr (_ <= _); ring.
Qed.

(** So the step descends. *)
Theorem rescaled_step_descends n (G f : 'I_n -> R) a :
  0 < a -> (forall l, 0 <= G l) -> 0 < \sum_l G l -> (forall l, a <= f l) -> 0 < \sum_l f l * G l.
Proof.
move=> a0 G0 S0 range; apply: (@lt_le_trans _ _ (a * \sum_l G l)); first by rewrite mulr_gt0.
by rewrite mulr_sumr; apply: ler_sum => l _; rewrite ler_wpmul2r.
Qed.

(** Two layers attain it: squared norms [b] and [a], factors [a] and [b]. *)
Theorem rescaled_step_attained a b : 0 < a -> 0 < b ->
  let G (l : 'I_2) := if l == 0 then b else a in let f (l : 'I_2) := if l == 0 then a else b in
  step_cosine G f = 2%:R * Num.sqrt (a * b) / (a + b).
Proof.
move=> a0 b0 G f; rewrite /step_cosine !big_ord_recl !big_ord0 /= !addr0.
have ab : 0 < a * b by rewrite mulr_gt0.
have s0 : 0 < a + b by rewrite addr_gt0.
have -> : a ^+ 2 * b + b ^+ 2 * a = (a * b) * (a + b) by ring.
rewrite sqrtrM ?(ltW ab) // [b + a]addrC.
have -> : Num.sqrt (a + b) * (Num.sqrt (a * b) * Num.sqrt (a + b)) = Num.sqrt (a * b) * (a + b).
  by rewrite mulrCA -expr2 sqr_sqrtr // ltW.
have -> : a * b + b * a = 2%:R * Num.sqrt (a * b) ^+ 2 by rewrite sqr_sqrtr ?(ltW ab) //; ring.
have r0 : Num.sqrt (a * b) != 0 by rewrite gt_eqF ?sqrtr_gt0.
by field; rewrite r0 gt_eqF.
Qed.
End Rescaling.
