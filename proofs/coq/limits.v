(** Sequences that tend to zero, in any Archimedean ordered field.

    What "training converges" means in the files about descent: each error eventually stays below
    every positive tolerance. Geometric sequences do so exactly for ratios of modulus below one,
    and a fixed matrix keeps the property. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import ring.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Definition tends_to_zero (R : numDomainType) (u : nat -> R) : Prop :=
  forall eps, 0 < eps -> exists T, forall t, (T <= t)%N -> `|u t| <= eps.

(** A sequence of vectors tends to another vector coordinate by coordinate. *)
Definition converges_to (R : numDomainType) (n : nat) (w : nat -> 'cV[R]_n) (w0 : 'cV[R]_n) : Prop :=
  forall i, tends_to_zero (fun t => (w t - w0) i 0).

Section Limits.
Variable R : archiFieldType.
Implicit Types (u v : nat -> R) (q h : R).

Lemma eq_tends_to_zero u v : u =1 v -> tends_to_zero u -> tends_to_zero v.
Proof. by move=> uv u0 eps /u0[T small]; exists T => t /small; rewrite uv. Qed.

Lemma tends_to_zeroD u v :
  tends_to_zero u -> tends_to_zero v -> tends_to_zero (fun t => u t + v t).
Proof.
move=> u0 v0 eps eps_gt0.
have half_gt0 : 0 < eps / 2%:R by rewrite divr_gt0 ?ltr0n.
have [T smallu] := u0 _ half_gt0; have [S smallv] := v0 _ half_gt0.
exists (maxn T S) => t; rewrite geq_max => /andP[Tt St].
rewrite (le_trans (ler_norm_add _ _)) // [eps]splitr.
by rewrite ler_add ?smallu ?smallv.
Qed.

Lemma tends_to_zeroZ c u : tends_to_zero u -> tends_to_zero (fun t => c * u t).
Proof.
move=> u0 eps eps_gt0.
have c1_gt0 : 0 < `|c| + 1 by rewrite ltr_paddl.
have [T small] := u0 _ (divr_gt0 eps_gt0 c1_gt0).
exists T => t /small; rewrite ler_pdivl_mulr // => small_t.
rewrite normrM (le_trans _ small_t) // mulrC ler_wpmul2l //.
by rewrite ler_addl ler01.
Qed.

Lemma tends_to_zero_sum n (u : 'I_n -> nat -> R) :
  (forall i, tends_to_zero (u i)) -> tends_to_zero (fun t => \sum_i u i t).
Proof.
move=> u0; elim: (index_enum _) => [|i s IHs].
  apply: (@eq_tends_to_zero (fun=> 0)) => [t|eps eps_gt0]; first by rewrite big_nil.
  by exists 0%N => t _; rewrite normr0 ltW.
by apply: eq_tends_to_zero (tends_to_zeroD (u0 i) IHs) => t; rewrite big_cons.
Qed.

Lemma tends_to_zero_mulmx m n (A : 'M[R]_(m, n)) (w : nat -> 'cV[R]_n) :
  (forall j, tends_to_zero (fun t => w t j 0)) ->
  forall i, tends_to_zero (fun t => (A *m w t) i 0).
Proof.
move=> w0 i; have := tends_to_zero_sum (fun j => tends_to_zeroZ (A i j) (w0 j)).
by apply: eq_tends_to_zero => t; rewrite [RHS]mxE.
Qed.

(** Bernoulli's inequality: growth by [1 + h] is at least linear. *)
Lemma bernoulli h t : 0 <= h -> 1 + h *+ t <= (1 + h) ^+ t.
Proof.
move=> h_ge0; elim: t => [|t IHt]; first by rewrite mulr0n addr0 expr0.
have h1_ge0 : 0 <= 1 + h by rewrite addr_ge0 ?ler01.
rewrite exprSr (le_trans _ (ler_wpmul2r h1_ge0 IHt)) //.
have -> : (1 + h *+ t) * (1 + h) = 1 + h *+ t.+1 + h *+ t * h by rewrite mulrSr; ring.
by rewrite ler_addl mulr_ge0 ?mulrn_wge0.
Qed.

Lemma geometric_vanishes q : `|q| < 1 -> tends_to_zero (fun t => q ^+ t).
Proof.
move=> q_lt1 eps eps_gt0; have [q0|q_neq0] := eqVneq q 0.
  by exists 1%N => t t_gt0; rewrite q0 expr0n gtn_eqF // normr0 ltW.
have q_gt0 : 0 < `|q| by rewrite normr_gt0.
set h := `|q|^-1 - 1; have h_gt0 : 0 < h by rewrite subr_gt0 invf_gt1.
have heps_gt0 : 0 < h * eps by rewrite mulr_gt0.
have /archi_boundP : 0 <= (h * eps)^-1 by rewrite invr_ge0 ltW.
set T := Num.bound _ => bound_T; exists T => t Tt; rewrite normrX.
have qE : `|q| = (1 + h)^-1 by rewrite addrC subrK invrK.
have h1_gt0 : 0 < 1 + h by rewrite addr_gt0 ?ltr01.
rewrite qE exprVn -[_^-1]mul1r ler_pdivr_mulr ?exprn_gt0 //.
apply: (@le_trans _ _ (eps * (1 + h *+ t))); last by rewrite ler_pmul2l // bernoulli // ltW.
rewrite mulrDr mulr1 -[1]add0r ler_add ?(ltW eps_gt0) //.
rewrite -mulr_natr mulrA [eps * h]mulrC -ler_pdivr_mull // mulr1 ltW //.
by rewrite (lt_le_trans bound_T) ?ler_nat.
Qed.

Lemma geometric_vanishes_iff q : tends_to_zero (fun t => q ^+ t) <-> `|q| < 1.
Proof.
split=> [vanishes|]; last exact: geometric_vanishes.
rewrite ltNge; apply/negP => q_ge1.
have half_gt0 : 0 < 2%:R^-1 :> R by rewrite invr_gt0 ltr0n.
have [T /(_ T (leqnn T))] := vanishes _ half_gt0; rewrite leNgt normrX => /negP; apply.
by rewrite (@lt_le_trans _ _ 1) ?exprn_ege1 // invf_lt1 ?ltr0n ?ltr1n.
Qed.

End Limits.
