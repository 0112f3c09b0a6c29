(** * Gradients: how large what backpropagation returns can be

    The gradient that reaches the input has passed the transposes of all weight matrices and the slopes of all
    activations.  If no slope exceeds 1 its norm is at most the product of the norms of the weights, whatever the
    biases and wherever the input is; and the same number bounds how far the output moves when the input moves.
    Biases never enter. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms network backprop.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Jacobian.
Variable R : comRingType.

(** The tangent map with fixed parameters multiplies by the Jacobian. *)
Theorem jvp_is_jacobian (phi dphi : nat -> R -> R) m ws (p : params R m ws) x dx :
  jvp phi dphi p x (params_zero R m ws) dx = jacobian phi dphi p x *m dx.
Proof.
elim: ws m phi dphi p x dx => [|k ws IH] m phi dphi /=; first by move=> *; rewrite mul1mx.
by move=> [[W b] rest] x dx; rewrite IH mul0mx add0r addr0 hadamard_diag !mulmxA.
Qed.

(** The input gradient of backpropagation multiplies by its transpose. *)
Theorem vjp_is_jacobian_tr (phi dphi : nat -> R -> R) m ws (p : params R m ws) x v :
  (vjp phi dphi p x v).2 = (jacobian phi dphi p x)^T *m v.
Proof.
elim: ws m phi dphi p x v => [|k ws IH] m phi dphi /=; first by move=> *; rewrite trmx1 mul1mx.
move=> [[W b] rest] x v.
have := IH k (fun l => phi l.+1) (fun l => dphi l.+1) rest (map_mx (phi 0%N) (preact W b x)) v.
by case: vjp => gp g /= ->; rewrite hadamard_diag !trmx_mul tr_diag_mx !mulmxA.
Qed.
End Jacobian.

Section Bounds.
Variable R : rcfType.

(** [cs] bounds the stretches of the weight matrices, layer by layer. *)
Fixpoint weights_le m ws : params R m ws -> seq R -> Prop :=
  if ws is k :: ws' return params R m ws -> seq R -> Prop then
    fun p cs => let: (W, b, rest) := p in
      if cs is c :: cs' then [/\ 0 <= c, stretch_le W c & weights_le rest cs'] else False
  else fun _ cs => cs = [::].

(** The product over layers of slope bound times weight bound. *)
Definition gain (s : nat -> R) (cs : seq R) : R := \prod_(l < size cs) (s l * cs`_l).

Lemma gain_cons s c cs : gain s (c :: cs) = s 0%N * c * gain (fun l => s l.+1) cs.
Proof. by rewrite /gain big_ord_recl. Qed.

Lemma gain_ge0 s m ws (p : params R m ws) cs : (forall l, 0 <= s l) -> weights_le p cs -> 0 <= gain s cs.
Proof.
elim: ws m s p cs => [|k ws IH] m s /=; first by move=> _ _ _ ->; rewrite /gain big_ord0 ler01.
move=> [[W b] rest] [|c cs] // s0 [c0 _ /IH]; rewrite gain_cons => h.
by rewrite !mulr_ge0 // h.
Qed.

Lemma norm_hadamard_le n (d u : 'cV[R]_n) s : 0 <= s -> (forall i, `|d i 0| <= s) ->
  norm (hadamard d u) <= s * norm u.
Proof.
move=> s0 ds; rewrite norm_le // mulr_sumr; apply: ler_sum => i _; rewrite !mxE -!expr2 exprMn.
by rewrite ler_wpmul2r ?sqr_ge0 // -real_normK ?num_real // ler_pexpn2r ?nnegrE.
Qed.

(** The Jacobian, and so every gradient, is at most slopes times norms of weights. *)
Theorem jacobian_norm (phi dphi : nat -> R -> R) s m ws (p : params R m ws) cs x :
  (forall l z, `|dphi l z| <= s l) -> weights_le p cs ->
  stretch_le (jacobian phi dphi p x) (gain s cs).
Proof.
have nonneg (f : nat -> R -> R) t : (forall l z, `|f l z| <= t l) -> forall l, 0 <= t l.
  by move=> bound l; exact: le_trans (bound l 0).
elim: ws m phi dphi s p cs x => [|k ws IH] m phi dphi s /=.
  by move=> _ _ x _ -> u; rewrite /gain big_ord0 mul1mx mul1r.
move=> [[W b] rest] [|c cs] // x slopes [c0 bW bp]; rewrite gain_cons mulrC.
have s0 := nonneg _ _ slopes.
apply: stretch_le_mul; first exact: gain_ge0 bp.
  by apply: IH bp => l z; exact: slopes.
move=> u; rewrite -mulmxA -hadamard_diag -mulrA.
apply: le_trans (_ : s 0%N * norm (W *m u) <= _); last by rewrite ler_wpmul2l.
by apply: norm_hadamard_le => // i; rewrite mxE.
Qed.

Theorem input_gradient_norm (phi dphi : nat -> R -> R) s m ws (p : params R m ws) cs x v :
  (forall l z, `|dphi l z| <= s l) -> weights_le p cs ->
  norm (vjp phi dphi p x v).2 <= gain s cs * norm v.
Proof.
move=> slopes bp; rewrite vjp_is_jacobian_tr; apply: stretch_le_tr; last exact: jacobian_norm.
by apply: gain_ge0 bp => l; exact: le_trans (slopes l 0).
Qed.

(** Slopes of at most 1: the product of the norms of the weights. *)
Theorem input_gradient_norm_1lipschitz (phi dphi : nat -> R -> R) m ws (p : params R m ws) cs x v :
  (forall l z, `|dphi l z| <= 1) -> weights_le p cs ->
  norm (vjp phi dphi p x v).2 <= (\prod_(c <- cs) c) * norm v.
Proof.
move=> slopes bp; have := input_gradient_norm phi x v slopes bp.
rewrite /gain (big_nth 0) big_mkord.
by under eq_bigr do rewrite mul1r.
Qed.

(** One unit with weight 1 shows that the slopes are needed. *)
Theorem slopes_are_needed (phi dphi : nat -> R -> R) (x : 'cV[R]_1) :
  jacobian phi dphi (ws := [:: 1%N]) (1%:M, 0, tt) x 0 0 = dphi 0%N (x 0 0).
Proof. by rewrite /= mul1mx mulmx1 /preact mul1mx addr0 !mxE eqxx mulr1n. Qed.

(** The same number bounds the network as a function: how far outputs differ for two inputs. *)
Theorem network_lipschitz (phi : nat -> R -> R) s m ws (p : params R m ws) cs x y :
  (forall l a b, `|phi l a - phi l b| <= s l * `|a - b|) -> (forall l, 0 <= s l) -> weights_le p cs ->
  norm (forward phi p x - forward phi p y) <= gain s cs * norm (x - y).
Proof.
elim: ws m phi s p cs x y => [|k ws IH] m phi s /=.
  by move=> _ _ x y _ _ ->; rewrite /gain big_ord0 mul1r.
move=> [[W b] rest] [|c cs] // x y lip s0 [c0 bW bp].
apply: le_trans (IH _ _ _ _ cs _ _ (fun l => lip l.+1) (fun l => s0 l.+1) bp) _.
rewrite gain_cons mulrC -mulrA [_ * norm _]mulrC mulrA ler_wpmul2r //.
  by apply: gain_ge0 bp => l.
apply: le_trans (_ : s 0%N * norm (W *m (x - y)) <= _).
  rewrite norm_le // mulr_sumr; apply: ler_sum => i _; rewrite -!expr2 -exprMn.
  have -> : (W *m (x - y)) i 0 = preact W b x i 0 - preact W b y i 0.
    by rewrite mulmxBr /preact !mxE opprD addrACA subrr addr0.
  have -> : (map_mx (phi 0%N) (preact W b x) - map_mx (phi 0%N) (preact W b y)) i 0 =
      phi 0%N (preact W b x i 0) - phi 0%N (preact W b y i 0).
    by move: (preact W b x) (preact W b y) => h g; rewrite !mxE.
  rewrite -real_normK ?num_real // -[X in _ <= X]real_normK ?num_real //.
  by rewrite ler_pexpn2r ?nnegrE // normrM (ger0_norm (s0 0%N)).
by rewrite -mulrA ler_wpmul2l.
Qed.
End Bounds.
