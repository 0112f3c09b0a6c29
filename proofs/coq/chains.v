(** * Chains: products of any number of layers of any widths

    The Jacobian of a deep network is a product of as many factors as there are layers, of all shapes.  What holds
    for two factors holds for the chain: norms bound it from above, smallest stretches from below, and condition numbers
    multiply.  The bounds are exponential in depth, in both directions, which is why a factor per layer
    that is not close to 1 makes gradients explode or vanish. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms conditions.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Chains.
Variable R : rcfType.

(** Matrices that can be multiplied: the first takes [m] inputs, and the layers have widths [ws]. *)
Fixpoint chain (m : nat) (ws : seq nat) : Type :=
  if ws is k :: ws' then ('M[R]_(k, m) * chain k ws')%type else unit.

(** Their product, the first matrix on the right. *)
Fixpoint chain_mul m ws : chain m ws -> 'M[R]_(last m ws, m) :=
  if ws is k :: ws' return chain m ws -> 'M[R]_(last m ws, m) then
    fun c => chain_mul c.2 *m c.1
  else fun _ => 1%:M.

(** Every matrix has the property with its own number. *)
Fixpoint chain_all (P : forall m n, 'M[R]_(m, n) -> R -> Prop) m ws : chain m ws -> seq R -> Prop :=
  if ws is k :: ws' return chain m ws -> seq R -> Prop then
    fun c rs => if rs is r :: rs' then P k m c.1 r /\ chain_all P c.2 rs' else False
  else fun _ rs => rs = [::].

(** The Frobenius norms of the matrices. *)
Fixpoint chain_frobs m ws : chain m ws -> seq R :=
  if ws is k :: ws' return chain m ws -> seq R then fun c => frob c.1 :: chain_frobs c.2 else fun _ => [::].

Lemma chain_all_impl (P Q : forall m n, 'M[R]_(m, n) -> R -> Prop) m ws (c : chain m ws) rs :
  (forall m n (A : 'M_(m, n)) r, P m n A r -> Q m n A r) -> chain_all P c rs -> chain_all Q c rs.
Proof.
move=> imp; elim: ws m c rs => [|k ws IH] m //= [W c] [|r rs] //= [pW pc].
by split; [exact: imp | exact: IH].
Qed.

Lemma stretch_le1 n : stretch_le (1%:M : 'M[R]_n) 1.
Proof. by move=> x; rewrite mul1mx mul1r. Qed.

Lemma stretch_ge1 n : stretch_ge (1%:M : 'M[R]_n) 1.
Proof. by move=> x; rewrite mul1mx mul1r. Qed.

Theorem chain_stretch_le m ws (c : chain m ws) rs :
  chain_all (fun m n A r => 0 <= r /\ stretch_le A r) c rs ->
  0 <= \prod_(r <- rs) r /\ stretch_le (chain_mul c) (\prod_(r <- rs) r).
Proof.
elim: ws m c rs => [|k ws IH] m /=; first by move=> _ _ ->; rewrite big_nil ler01; split=> //; exact: stretch_le1.
move=> [W c] [|r rs] //= [[r0 bW] /IH[p0 bc]]; rewrite big_cons mulr_ge0 //; split=> //.
by rewrite mulrC; exact: stretch_le_mul.
Qed.

Theorem chain_stretch_ge m ws (c : chain m ws) rs :
  chain_all (fun m n A r => 0 <= r /\ stretch_ge A r) c rs ->
  0 <= \prod_(r <- rs) r /\ stretch_ge (chain_mul c) (\prod_(r <- rs) r).
Proof.
elim: ws m c rs => [|k ws IH] m /=; first by move=> _ _ ->; rewrite big_nil ler01; split=> //; exact: stretch_ge1.
move=> [W c] [|r rs] //= [[r0 bW] /IH[p0 bc]]; rewrite big_cons mulr_ge0 //; split=> //.
by rewrite mulrC; exact: stretch_ge_mul.
Qed.

(** The norm of a chain is at most the product of the norms. *)
Theorem chain_norm m ws (c : chain m ws) rs d :
  chain_all (@is_norm R) c rs -> is_norm (chain_mul c) d -> d <= \prod_(r <- rs) r.
Proof.
move=> norms [_ _ least].
have /chain_stretch_le [p0 bc] : chain_all (fun m n A r => 0 <= r /\ stretch_le A r) c rs.
  by apply: chain_all_impl norms => m' n' A r [].
exact: least.
Qed.

(** The smallest stretch of a chain is at least the product of the smallest stretches. *)
Theorem chain_smallest m ws (c : chain m ws) rs d :
  chain_all (@is_smallest R) c rs -> is_smallest (chain_mul c) d -> \prod_(r <- rs) r <= d.
Proof.
move=> smallest [_ _ most]; apply: most.
have /chain_stretch_ge [] // : chain_all (fun m n A r => 0 <= r /\ stretch_ge A r) c rs.
by apply: chain_all_impl smallest => m' n' A r [].
Qed.

(** The Frobenius norm of a chain of at least one matrix is at most the product of theirs. *)
Theorem chain_frob m k ws (c : chain m (k :: ws)) :
  frob (chain_mul c) <= \prod_(r <- chain_frobs c) r.
Proof.
case: c => W c /=; rewrite big_cons mulrC.
have : chain_all (fun m n A r => 0 <= r /\ stretch_le A r) c (chain_frobs c).
  elim: ws k c {W} => [|l ws IH] k //= [V c] /=; split; last exact: IH.
  by rewrite frob_ge0; split=> //; exact: stretch_le_frob.
by move=> /chain_stretch_le [p0 bc]; exact: frob_mul_stretch.
Qed.

(** Condition numbers multiply, at worst, along chains of layers none of which is wide. *)
Theorem chain_cond m ws (c : chain m ws) rs d :
  chain_all (@is_cond R) c rs -> is_cond (chain_mul c) d -> d <= \prod_(r <- rs) r.
Proof.
move=> conds [M [s [[M0 _ least] [_ _ most] p ->]]].
have [a [b [a0 b0 up [down ->]]]] : exists a b,
    [/\ 0 <= a, 0 < b, stretch_le (chain_mul c) a & stretch_ge (chain_mul c) b /\ \prod_(r <- rs) r = a / b].
  elim: ws m c rs conds {M0 least most} => [|k ws IH] m /=.
    move=> _ _ ->; exists 1, 1; rewrite ler01 ltr01 big_nil divr1; split=> //; first exact: stretch_le1.
    by split=> //; exact: stretch_ge1.
  move=> [W c] [|r rs] //= [[N [t [[N0 bW _] [_ dW _] t0 ->]]]] /IH[a [b [a0 b0 up [down E]]]].
  exists (a * N), (b * t); rewrite mulr_ge0 // mulr_gt0 //; split=> //; first exact: stretch_le_mul.
  by split; [apply: stretch_ge_mul => //; exact: ltW | rewrite big_cons E mulf_div mulrC [N * _]mulrC [t * _]mulrC mulrC].
rewrite ler_pdivr_mulr // mulrAC ler_pdivl_mulr //.
by apply: ler_pmul; [| exact: ltW | exact: least | exact: most].
Qed.
End Chains.
