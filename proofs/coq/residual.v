(** * Residual blocks: a skip connection keeps every stretch near 1

    A block [x + F x] whose branch is small, [|F x| <= b |x|] with [b < 1], can neither lose nor blow up a signal
    by more than the factors [1 - b] and [1 + b]; and a stack of [L] such blocks by their powers.  This is why deep
    residual networks start trainable when their branches are scaled down with depth. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms conditions.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Residual.
Variable R : rcfType.

(** The branch may be any map, a network for instance. *)
Theorem residual_block_stretch n (F : 'cV[R]_n -> 'cV[R]_n) b x :
  norm (F x) <= b * norm x ->
  (1 - b) * norm x <= norm (x + F x) /\ norm (x + F x) <= (1 + b) * norm x.
Proof.
move=> small; rewrite mulrBl mulrDl mul1r; split.
  apply: le_trans (_ : norm x - norm (F x) <= _); first by rewrite ler_add2l ler_opp2.
  by rewrite -[F x]opprK normN; exact: normB.
by apply: le_trans (normD _ _) _; rewrite ler_add2l.
Qed.

(** A stack of blocks. *)
Theorem residual_stack_stretch n (Fs : seq ('cV[R]_n -> 'cV[R]_n)) b x : 0 <= b -> b <= 1 ->
  (forall k y, norm (nth id Fs k y) <= b * norm y) ->
  let out := foldl (fun y F => y + F y) x Fs in
  (1 - b) ^+ size Fs * norm x <= norm out /\ norm out <= (1 + b) ^+ size Fs * norm x.
Proof.
move=> b0 b1; have c0 : 0 <= 1 - b by rewrite subr_ge0.
have d0 : 0 <= 1 + b by rewrite addr_ge0 ?ler01.
elim: Fs x => [|F Fs IH] x small /=; first by rewrite !expr0 !mul1r.
have [lo hi] := residual_block_stretch (small 0%N x).
have [LO HI] := IH (x + F x) (fun k => small k.+1).
by rewrite !exprSr -!mulrA; split;
  [apply: le_trans LO; rewrite ler_wpmul2l ?exprn_ge0 | apply: (le_trans HI); rewrite ler_wpmul2l ?exprn_ge0].
Qed.

Theorem residual_stretch n (B : 'M[R]_n) b :
  stretch_le B b -> stretch_ge (1%:M + B) (1 - b) /\ stretch_le (1%:M + B) (1 + b).
Proof.
by move=> small; split=> x; rewrite mulmxDl mul1mx; have [] := residual_block_stretch (small x).
Qed.

(** Both ends are attained, by multiples of the identity. *)
Theorem residual_stretch_attained n (x : 'cV[R]_n) b : 0 <= b -> b <= 1 ->
  norm ((1%:M + (- b)%:M) *m x) = (1 - b) * norm x /\ norm ((1%:M + b%:M) *m x) = (1 + b) * norm x.
Proof.
move=> b0 b1; have E c : norm ((1%:M + c%:M) *m x) = `|1 + c| * norm x.
  by rewrite mulmxDl mul1mx mul_scalar_mx -{1}[x]scale1r -scalerDl normZ.
by rewrite !E !ger0_norm ?subr_ge0 // addr_ge0 ?ler01.
Qed.

(** The condition number of a block. *)
Theorem residual_cond n (B : 'M[R]_n) b k :
  0 <= b -> b < 1 -> stretch_le B b -> is_cond (1%:M + B) k -> k <= (1 + b) / (1 - b).
Proof.
move=> b0 b1 small [M [s [[M0 _ least] [_ _ most] p ->]]].
have [down up] := residual_stretch small.
rewrite ler_pdivr_mulr // mulrAC ler_pdivl_mulr ?subr_gt0 //.
by apply: ler_pmul; rewrite ?subr_ge0 ?(ltW b1) //; [apply: least; rewrite ?addr_ge0 ?ler01 | exact: most].
Qed.

(** A branch that turns rather than stretches does better: [mu] bounds [x^T B x / |x|^2]. *)
Theorem residual_turning n (B : 'M[R]_n) b mu :
  0 <= b -> stretch_le B b -> (forall x, dot x (B *m x) <= mu * normsq x) ->
  forall x, norm ((1%:M + B) *m x) ^+ 2 <= (1 + 2%:R * mu + b ^+ 2) * norm x ^+ 2.
Proof.
move=> b0 small turn x; rewrite mulmxDl mul1mx !norm_sq normsqD.
have -> : (1 + 2%:R * mu + b ^+ 2) * normsq x = normsq x + 2%:R * (mu * normsq x) + b ^+ 2 * normsq x by ring.
apply: ler_add; last by rewrite -norm_le.
by rewrite ler_add2l ler_pmul2l ?ltr0n.
Qed.

(** This is never looser, as [mu] is at most [b]. *)
Theorem residual_turning_is_tighter n (B : 'M[R]_n) b x :
  stretch_le B b -> dot x (B *m x) <= b * normsq x.
Proof.
move=> small; apply: le_trans (le_trans (ler_norm _) (dot_le _ _)) _.
by rewrite -norm_sq expr2 mulrCA ler_wpmul2l ?norm_ge0.
Qed.

(** ** Perturbed matrices *)

Theorem norm_perturbed m n (A E : 'M[R]_(m, n)) a c e :
  is_norm A a -> is_norm (A + E) c -> 0 <= e -> stretch_le E e -> `|c - a| <= e.
Proof.
move=> [a0 bA lA] [c0 bC lC] e0 bE; rewrite ler_norml; apply/andP; split.
  rewrite ler_subr_addr addrC ler_subl_addr; apply: lA => [|x]; first exact: addr_ge0.
  have -> : A *m x = (A + E) *m x + - (E *m x) by rewrite mulmxDl addrK.
  by rewrite mulrDl; apply: le_trans (normD _ _) _; rewrite normN ler_add.
rewrite ler_subl_addr; apply: lC => [|x]; first exact: addr_ge0.
by rewrite mulmxDl addrC mulrDl; apply: le_trans (normD _ _) _; rewrite ler_add.
Qed.

Theorem smallest_perturbed m n (A E : 'M[R]_(m, n)) a c e :
  is_smallest A a -> is_smallest (A + E) c -> stretch_le E e -> `|c - a| <= e.
Proof.
move=> [a0 bA lA] [c0 bC lC] bE; rewrite ler_norml; apply/andP; split.
  rewrite ler_subr_addr addrC; apply: lC => x; rewrite mulmxDl mulrBl -[E *m x]opprK.
  by apply: le_trans (normB _ _); rewrite normN ler_sub.
rewrite ler_subl_addr -ler_subl_addl; apply: lA => x.
have -> : A *m x = (A + E) *m x - E *m x by rewrite mulmxDl addrK.
by rewrite mulrBl; apply: le_trans (normB _ _); rewrite ler_sub.
Qed.
End Residual.
