(** * Condition numbers: how unequally a network stretches directions

    The condition number of a layer is its largest stretch over its smallest one.  Gradient descent crawls along the
    direction that is stretched least while the step is limited by the one stretched most.  Condition numbers
    of layers multiply, at worst; a factor on all weights does not change them; and one badly conditioned
    layer spoils a product unless another one repairs it. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Conditions.
Variable R : rcfType.

(** [k] is the condition number of [A], which is not wide: largest stretch over smallest. *)
Definition is_cond m n (A : 'M[R]_(m, n)) (k : R) :=
  exists M s, [/\ is_norm A M, is_smallest A s, 0 < s & k = M / s].

Lemma smallest_unique m n (A : 'M[R]_(m, n)) s t : is_smallest A s -> is_smallest A t -> s = t.
Proof. by move=> [_ bs ms] [_ bt mt]; apply/eqP; rewrite eq_le ms ?mt. Qed.

Theorem cond_unique m n (A : 'M[R]_(m, n)) k l : is_cond A k -> is_cond A l -> k = l.
Proof.
move=> [M [s [nM ns _ ->]]] [N [t [nN nt _ ->]]].
by rewrite (is_norm_unique nM nN) (smallest_unique ns nt).
Qed.

Lemma smallest_le_norm m n (A : 'M[R]_(m, n.+1)) M s : stretch_le A M -> stretch_ge A s -> s <= M.
Proof.
move=> up down; pose e : 'cV[R]_n.+1 := delta_mx 0 0.
have e0 : 0 < norm e.
  by rewrite norm_gt0; apply/eqP => /matrixP/(_ 0 0); rewrite !mxE !eqxx => /eqP; rewrite oner_eq0.
by rewrite -(ler_pmul2r e0) (le_trans (down e)).
Qed.

Theorem cond_ge1 m n (A : 'M[R]_(m, n.+1)) k : is_cond A k -> 1 <= k.
Proof.
move=> [M [s [[_ up _] [_ down _] s0 ->]]].
by rewrite ler_pdivl_mulr // mul1r; exact: smallest_le_norm down.
Qed.

(** The condition number is 1 only for multiples of matrices with orthonormal columns. *)
Theorem cond1_isometry m n (A : 'M[R]_(m, n)) :
  is_cond A 1 -> exists2 s, 0 < s & A^T *m A = (s ^+ 2)%:M.
Proof.
move=> [M [s [[_ up _] [_ down _] s0 /esym E]]]; exists s => //.
have {E} Ms : M = s by rewrite -[M](@divfK _ s) ?lt0r_neq0 // E mul1r.
have iso x : normsq (A *m x) = s ^+ 2 * normsq x.
  apply/eqP; rewrite eq_le -norm_le ?(ltW s0) // -norm_ge ?(ltW s0) //.
  by rewrite -{1}Ms up down.
have polar x y : dot (A *m x) (A *m y) = s ^+ 2 * dot x y.
  have := iso (x + y); rewrite mulmxDr !normsqD !iso !mulrDr => /addIr /addrI.
  by rewrite mulrCA => /mulfI; apply; rewrite pnatr_eq0.
apply/matrixP => i j.
have -> : (A^T *m A) i j = dot (A *m delta_mx i 0) (A *m delta_mx j 0).
  by rewrite -!colE mxE; apply: eq_bigr => k _; rewrite !mxE.
rewrite polar mxE /dot (bigD1 i) //= big1 => [|h /negPf ni]; last by rewrite !mxE ni mul0r.
by rewrite !mxE !eqxx mul1r addr0 andbT mulr_natr.
Qed.

Theorem isometry_cond1 m n (A : 'M[R]_(m, n.+1)) s :
  0 < s -> A^T *m A = (s ^+ 2)%:M -> is_cond A 1.
Proof.
move=> s0 iso; have E x : norm (A *m x) = s * norm x by rewrite (norm_isometry _ iso) gtr0_norm.
have up : stretch_le A s by move=> x; rewrite E.
have down : stretch_ge A s by move=> x; rewrite E.
exists s, s; split=> //; last by rewrite divff ?lt0r_neq0.
  by split=> [||d d0 bd]; [exact: ltW | | exact: smallest_le_norm down].
by split=> [||d bd]; [exact: ltW | | exact: smallest_le_norm bd].
Qed.

(** A multiplier on the weights leaves the condition number as it is. *)
Theorem cond_scale m n (A : 'M[R]_(m, n)) a k : a != 0 -> is_cond A k -> is_cond (a *: A) k.
Proof.
move=> a0 [M [s [[M0 up least] [s0 down most] sp ->]]].
have p : 0 < `|a| by rewrite normr_gt0.
have E x : norm (a *: A *m x) = `|a| * norm (A *m x) by rewrite -scalemxAl normZ.
exists (`|a| * M), (`|a| * s); split; rewrite ?mulr_gt0 //.
- split=> [|x|d d0 bd]; rewrite ?mulr_ge0 // ?E -?mulrA ?ler_pmul2l //.
  rewrite mulrC -ler_pdivl_mulr //; apply: least; rewrite ?divr_ge0 // => x.
  by rewrite mulrAC ler_pdivl_mulr // [_ * `|a|]mulrC -E.
- split=> [|x|d bd]; rewrite ?mulr_ge0 // ?E -?mulrA ?ler_pmul2l //.
  rewrite mulrC -ler_pdivr_mulr //; apply: most => x.
  by rewrite mulrAC ler_pdivr_mulr // [_ * `|a|]mulrC -E.
- by rewrite -mulf_div divff ?mul1r // gt_eqF.
Qed.

(** ** Products *)

Theorem cond_mul m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_cond A a -> is_cond B b -> is_cond (A *m B) c -> c <= a * b.
Proof.
move=> [MA [sA [nA lA pA ->]]] [MB [sB [nB lB pB ->]]] [M [s [nAB lAB p ->]]].
have up := norm_mul nA nB nAB; have down := smallest_mul lA lB lAB.
rewrite mulf_div ler_pdivr_mulr // mulrAC ler_pdivl_mulr ?mulr_gt0 //.
by apply: ler_pmul; rewrite ?mulr_ge0 ?(ltW pA) ?(ltW pB) //; case: nAB.
Qed.

(** The mirror image for layers that are not tall. *)
Theorem cond_mul_wide m k n (A : 'M[R]_(m, k)) (B : 'M[R]_(k, n)) a b c :
  is_cond A^T a -> is_cond B^T b -> is_cond (A *m B)^T c -> c <= a * b.
Proof. by rewrite trmx_mul mulrC => cA cB cAB; exact: cond_mul cAB. Qed.

(** Without monotone widths there is no bound: both factors have condition number 1, the product is 0. *)
Theorem cond_mul_needs_widths :
  let A : 'rV[R]_2 := delta_mx 0 0 in let B : 'cV[R]_2 := delta_mx 1 0 in
  [/\ is_cond A^T 1, is_cond B 1 & forall c, ~ is_cond (A *m B) c].
Proof.
have unit (i : 'I_2) : is_cond (delta_mx i 0 : 'cV[R]_2) 1.
  apply: (@isometry_cond1 _ _ _ 1) => //; rewrite trmx_delta mul_delta_mx expr1n.
  by apply/matrixP => j k; rewrite !ord1 !mxE !eqxx.
split; rewrite ?trmx_delta; [exact: unit | exact: unit | rewrite mul_delta_mx_0 //].
move=> c [M [s [_ [_ down _] p _]]].
have := down (delta_mx 0 0); rewrite mul0mx norm0 leNgt mulr_gt0 // norm_gt0.
by apply/eqP => /matrixP/(_ 0 0); rewrite !mxE !eqxx => /eqP; rewrite oner_eq0.
Qed.

Lemma cond_unit n (A : 'M[R]_n) s : 0 < s -> stretch_ge A s -> A \in unitmx.
Proof.
move=> p down; rewrite -unitmx_tr -row_free_unit; apply/row_freeP.
suff: row_free A^T by move/row_freeP.
rewrite -kermx_eq0; apply/eqP/row_matrixP => i; rewrite row0.
set r := row i _; have: A *m r^T = 0.
  by apply: trmx_inj; rewrite trmx_mul trmxK trmx0 -row_mul mulmx_ker row0.
move=> z; have := down r^T; rewrite z norm0 pmulr_rle0 // => le.
by apply: trmx_inj; apply/eqP; rewrite trmx0 -norm_eq0 eq_le le norm_ge0.
Qed.

(** A product of square layers is at least as badly conditioned as the quotient of their condition numbers. *)
Theorem cond_mul_below n (A B : 'M[R]_n) a b c :
  is_cond A a -> is_cond B b -> is_cond (A *m B) c -> a / b <= c /\ b / a <= c.
Proof.
move=> [MA [sA [[MA0 uA leA] [_ dA moA] pA ->]]] [MB [sB [[MB0 uB leB] [_ dB moB] pB ->]]].
move=> [M [s [[M0 up least] [s0 down most] p ->]]].
have unitB := cond_unit pB dB.
have pos (C : 'M[R]_n) S N : 0 < S -> 0 <= N -> stretch_le C N -> stretch_ge C S -> n != 0%N -> 0 < N.
  case: {A B uA leA dA moA uB leB dB moB unitB up least down most} n C => // n' C S0 N0 hu hd _.
  exact: lt_le_trans S0 (smallest_le_norm hu hd).
have [n0|n0] := eqVneq n 0%N.
  have zero (C : 'M[R]_n) N : (forall d, 0 <= d -> stretch_le C d -> N <= d) -> N <= 0.
    by apply=> // x; subst n; rewrite [x]flatmx0 mulmx0 norm0 mulr0.
  have ZA : MA = 0 by apply/eqP; rewrite eq_le MA0 (zero A).
  have ZB : MB = 0 by apply/eqP; rewrite eq_le MB0 (zero B).
  by rewrite ZA ZB !mul0r; split; rewrite divr_ge0.
have MAp := pos _ _ _ pA MA0 uA dA n0; have MBp := pos _ _ _ pB MB0 uB dB n0.
have onto (x : 'cV[R]_n) : exists y, x = B *m y by exists (invmx B *m x); rewrite mulKVmx.
have ABx (y : 'cV[R]_n) : A *m B *m y = A *m (B *m y) by rewrite mulmxA.
have H1 : MA <= M / sB.
  apply: leA => [|x]; first by rewrite divr_ge0 // ltW.
  have [y ->] := onto x; rewrite -ABx (le_trans (up y)) // -mulrA ler_wpmul2l //.
  by rewrite mulrC ler_pdivl_mulr // mulrC.
have H2 : s / MB <= sA.
  apply: moA => x; have [y ->] := onto x; rewrite -ABx (le_trans _ (down y)) // -mulrA ler_wpmul2l //.
  by rewrite mulrC ler_pdivr_mulr // mulrC.
have H3 : MB <= M / sA.
  apply: leB => [|x]; first by rewrite divr_ge0 // ltW.
  by rewrite mulrAC ler_pdivl_mulr // [_ * sA]mulrC (le_trans (dA _)) // -ABx.
have H4 : s / MA <= sB.
  apply: moB => x; rewrite mulrAC ler_pdivr_mulr // (le_trans (down x)) // ABx [_ * MA]mulrC.
  exact: uA.
have quotient MX sX MY sY : 0 < sX -> 0 < sY -> 0 < MY -> 0 <= MX -> MX <= M / sY -> s / MY <= sX ->
    MX / sX / (MY / sY) <= M / s.
  move=> psX psY pMY MX0; rewrite ler_pdivl_mulr // ler_pdivr_mulr // => h1 h2.
  rewrite ler_pdivr_mulr ?divr_gt0 // ler_pdivr_mulr // mulf_div mulrAC ler_pdivl_mulr ?mulr_gt0 //.
  have -> : MX * (s * sY) = MX * sY * s by ring.
  have -> : M * MY * sX = M * (sX * MY) by ring.
  by apply: ler_pmul; rewrite ?mulr_ge0 // ltW.
by split; apply: quotient.
Qed.
End Conditions.
