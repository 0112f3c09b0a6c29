(** * What a multiplier on the weights of a ReLU network does

    A network without biases whose activation is ReLU or leaky ReLU only notices the signs of its
    pre-activations.  Multiplying the weights of the layers by positive numbers therefore changes no
    gate: the output and its derivative in the input are multiplied by the product of all factors,
    and the derivative in the weights of a layer by the product of the factors of the other layers.
    With one factor [alpha] on [L] layers these are the powers [alpha^L] and [alpha^(L-1)] by which
    gradients of deep networks vanish or explode.

    Since the output is linear in each layer separately, as far as scale goes, every layer pairs with
    its gradient to the same number, the output: no layer has more of it than another. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors network backprop.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definitions.
Variable R : comRingType.

(** No layer has a bias. *)
Fixpoint bias_free m ws : params R m ws -> Prop :=
  if ws is k :: ws' return params R m ws -> Prop then
    fun p => let: (_, b, rest) := p in b = 0 /\ bias_free rest
  else fun _ => True.

(** The weights of layer [l] multiplied by [c l]. *)
Fixpoint scale_weights (c : nat -> R) m ws : params R m ws -> params R m ws :=
  if ws is k :: ws' return params R m ws -> params R m ws then
    fun p => let: (W, b, rest) := p in (c 0%N *: W, b, scale_weights (fun l => c l.+1) rest)
  else fun _ => tt.

(** The weights without the biases. *)
Fixpoint weights_only m ws : params R m ws -> params R m ws :=
  if ws is k :: ws' return params R m ws -> params R m ws then
    fun p => let: (W, _, rest) := p in (W, 0, weights_only rest)
  else fun _ => tt.

(** The pairing of the weights of layer [l]: the sum of products of entries. *)
Fixpoint weight_dot (l : nat) m ws : params R m ws -> params R m ws -> R :=
  if ws is k :: ws' return params R m ws -> params R m ws -> R then
    fun p q => let: (W, _, rest) := p in let: (V, _, rest') := q in
      if l is l'.+1 then weight_dot l' rest rest' else \sum_i \sum_j W i j * V i j
  else fun _ _ => 0.
End Definitions.

Section Homogeneity.
Variable R : realFieldType.
Implicit Types (c : nat -> R) (alpha : R).

(** Positively homogeneous activations, with slopes that depend on the sign only. *)
Definition homogeneous (phi dphi : nat -> R -> R) : Prop :=
  forall l alpha h, 0 < alpha -> phi l (alpha * h) = alpha * phi l h /\ dphi l (alpha * h) = dphi l h.

(** An activation is its slope times its argument. *)
Definition gated (phi dphi : nat -> R -> R) : Prop := forall l h, phi l h = dphi l h * h.

Definition leaky_relu (slope h : R) : R := if 0 < h then h else slope * h.
Definition leaky_relu_slope (slope h : R) : R := if 0 < h then 1 else slope.

(** ReLU ([slope l = 0]), leaky ReLU and linear layers ([slope l = 1]), mixed as one likes. *)
Theorem leaky_relu_is_homogeneous (slope : nat -> R) :
  homogeneous (fun l => leaky_relu (slope l)) (fun l => leaky_relu_slope (slope l)) /\
  gated (fun l => leaky_relu (slope l)) (fun l => leaky_relu_slope (slope l)).
Proof.
split=> l; rewrite /leaky_relu /leaky_relu_slope.
  by move=> alpha h alpha_gt0; rewrite pmulr_rgt0 //; case: ifP => _; split=> //; rewrite mulrCA.
by move=> h; case: ifP; rewrite ?mul1r.
Qed.

Section Factors.
Variables (phi dphi : nat -> R -> R).
Hypothesis homogeneous_phi : homogeneous phi dphi.

Lemma homogeneous_shift : homogeneous (fun l => phi l.+1) (fun l => dphi l.+1).
Proof. by move=> l; apply: homogeneous_phi. Qed.

Lemma map_phi n alpha (h : 'cV[R]_n) : 0 < alpha ->
  map_mx (phi 0%N) (alpha *: h) = alpha *: map_mx (phi 0%N) h.
Proof. by move=> alpha_gt0; apply/colP => i; rewrite !mxE (homogeneous_phi _ _ alpha_gt0).1. Qed.

Lemma map_dphi n alpha (h : 'cV[R]_n) : 0 < alpha ->
  map_mx (dphi 0%N) (alpha *: h) = map_mx (dphi 0%N) h.
Proof. by move=> alpha_gt0; apply/colP => i; rewrite !mxE (homogeneous_phi _ _ alpha_gt0).2. Qed.
End Factors.

Lemma preact_scaled m k (W : 'M[R]_(k, m)) (x : 'cV[R]_m) a alpha :
  preact (a *: W) 0 (alpha *: x) = (alpha * a) *: preact W 0 x.
Proof. by rewrite /preact !addr0 -scalemxAl -scalemxAr scalerA mulrC. Qed.

Lemma forward_scaled_input phi dphi m ws c alpha (p : params R m ws) x :
  homogeneous phi dphi -> bias_free p -> (forall l, 0 < c l) -> 0 < alpha ->
  forward phi (scale_weights c p) (alpha *: x)
    = (alpha * \prod_(l < size ws) c l) *: forward phi p x.
Proof.
elim: ws m phi dphi c alpha p x => [|k ws IH] m phi dphi c alpha /=.
  by move=> _ x *; rewrite big_ord0 mulr1.
move=> [[W b] rest] x hom [-> bias0] c_gt0 alpha_gt0.
have factor_gt0 : 0 < alpha * c 0%N by rewrite mulr_gt0.
rewrite preact_scaled (map_phi hom) // (IH _ _ _ _ _ _ _ (homogeneous_shift hom)) //.
by rewrite big_ord_recl mulrA.
Qed.

Lemma vjp_scaled_input phi dphi m ws c alpha (p : params R m ws) x v :
  homogeneous phi dphi -> bias_free p -> (forall l, 0 < c l) -> 0 < alpha ->
  let total := \prod_(l < size ws) c l in
  let: (gp, g) := vjp phi dphi p x v in
  let: (gp', g') := vjp phi dphi (scale_weights c p) (alpha *: x) v in
  weights_only gp' = weights_only (scale_weights (fun l => alpha * total / c l) gp) /\
  g' = total *: g.
Proof.
elim: ws m phi dphi c alpha p x v => [|k ws IH] m phi dphi c alpha /=.
  by move=> _ x v *; rewrite big_ord0 scale1r.
move=> [[W b] rest] x v hom [-> bias0] c_gt0 alpha_gt0.
have factor_gt0 : 0 < alpha * c 0%N by rewrite mulr_gt0.
have c_neq0 l : c l != 0 by rewrite gt_eqF.
have := IH _ _ _ (fun l => c l.+1) _ rest (map_mx (phi 0%N) (preact W 0 x)) v
  (homogeneous_shift hom) bias0 (fun l => c_gt0 l.+1) factor_gt0.
rewrite preact_scaled (map_phi hom) // (map_dphi hom) //.
case: vjp => gp g; case: vjp => gp' g' [weightsE ->] /=; rewrite weightsE big_ord_recl.
set tail := \prod_(l < _) _; set d := map_mx (dphi 0%N) _.
have hadamardE : hadamard d (tail *: g) = tail *: hadamard d g.
  by apply/colP => i; rewrite !mxE mulrCA.
rewrite hadamardE; split; last by rewrite [(_ *: W)^T]linearZ /= -scalemxAl -scalemxAr scalerA.
congr (_, _, _).
  rewrite [(_ *: x)^T]linearZ /= -scalemxAl -scalemxAr scalerA; congr (_ *: _).
  by field; rewrite c_neq0.
by rewrite mulrA.
Qed.

(** Factors on the layers multiply the output by their product. *)
Theorem output_under_factors phi dphi m ws c (p : params R m ws) x :
  homogeneous phi dphi -> bias_free p -> (forall l, 0 < c l) ->
  forward phi (scale_weights c p) x = (\prod_(l < size ws) c l) *: forward phi p x.
Proof.
move=> hom bias0 c_gt0.
have := forward_scaled_input x hom bias0 c_gt0 ltr01.
by rewrite scale1r mul1r.
Qed.

(** The derivative in the input is multiplied by the product of all factors, the derivative in the
    weights of a layer by the product of the others. *)
Theorem gradients_under_factors phi dphi m ws c (p : params R m ws) x v :
  homogeneous phi dphi -> bias_free p -> (forall l, 0 < c l) ->
  let total := \prod_(l < size ws) c l in
  weights_only (vjp phi dphi (scale_weights c p) x v).1 =
    weights_only (scale_weights (fun l => total / c l) (vjp phi dphi p x v).1) /\
  (vjp phi dphi (scale_weights c p) x v).2 = total *: (vjp phi dphi p x v).2.
Proof.
move=> hom bias0 c_gt0 /=.
have := vjp_scaled_input x v hom bias0 c_gt0 ltr01.
by rewrite scale1r; case: vjp => gp g; case: vjp => gp' g' [-> ->]; rewrite mul1r.
Qed.

Lemma prod_const n alpha : \prod_(l < n) alpha = alpha ^+ n.
Proof. by rewrite prodr_const card_ord. Qed.

(** One multiplier on [L] layers: [alpha^L] on the output and on the derivative in the input,
    [alpha^(L-1)] on the derivatives in the weights. *)
Theorem powers_of_the_multiplier phi dphi m ws alpha (p : params R m ws) x v :
  homogeneous phi dphi -> bias_free p -> 0 < alpha ->
  let scaled := scale_weights (fun=> alpha) p in
  [/\ forward phi scaled x = alpha ^+ size ws *: forward phi p x,
      (vjp phi dphi scaled x v).2 = alpha ^+ size ws *: (vjp phi dphi p x v).2 &
      weights_only (vjp phi dphi scaled x v).1 =
        weights_only (scale_weights (fun=> alpha ^+ (size ws).-1) (vjp phi dphi p x v).1)].
Proof.
move=> hom bias0 alpha_gt0 scaled; have pos (l : nat) := alpha_gt0.
rewrite /scaled (output_under_factors x hom bias0 pos) prod_const.
have [-> ->] := gradients_under_factors x v hom bias0 pos; rewrite prod_const; split=> //.
case: ws p x v {scaled bias0} => // k ws p x v.
by rewrite /= exprS [alpha * _]mulrC mulfK ?gt_eqF.
Qed.

(** Weights stored as [w] and multiplied by [alpha] when they are used: the gradient in [w] pairs with a
    change of [w] as the gradient in [alpha w] does with [alpha] times that change, and is [alpha^L]
    times the gradient at [alpha = 1]. *)
Theorem gradient_in_stored_weights phi dphi m ws alpha (p dw : params R m ws) x v :
  homogeneous phi dphi -> bias_free p -> bias_free dw -> 0 < alpha ->
  params_dot (vjp phi dphi (scale_weights (fun=> alpha) p) x v).1 (scale_weights (fun=> alpha) dw) =
    alpha ^+ size ws * params_dot (vjp phi dphi p x v).1 dw.
Proof.
move=> hom bias0 dbias0 alpha_gt0.
have dot_weights (q : params R m ws) dq : bias_free dq -> params_dot q dq = params_dot (weights_only q) dq.
  elim: ws m q dq {p dw x v bias0 dbias0} => [|k ws IH] m //= [[W b] rest] [[dW db] drest] [-> free].
  by rewrite dot0r dot0l IH.
have scale_free a : bias_free (scale_weights (fun=> a) dw).
  by elim: ws m dw dbias0 {p x v bias0 dot_weights} => [|k ws IH] m //= [[W b] rest] [-> free]; split; last exact: IH.
rewrite dot_weights // [in RHS]dot_weights //.
have [_ _ ->] := powers_of_the_multiplier x v hom bias0 alpha_gt0.
case: ws p dw x v {scale_free dot_weights bias0} dbias0 => [|k ws] p dw x v dbias0.
  by rewrite /= mulr0.
have pairing a b ws' m' (q dq : params R m' ws') : bias_free dq ->
    params_dot (weights_only (scale_weights (fun=> a) q)) (scale_weights (fun=> b) dq) =
    b * a * params_dot (weights_only q) dq.
  elim: ws' m' q dq => [|k' ws' IH] m' q dq /=; first by rewrite mulr0.
  case: q dq => [[W c] rest] [[dW dc] drest] /= [-> free]; rewrite IH // !dot0r !addr0 mulrDr; congr (_ + _).
  rewrite mulr_sumr; apply: eq_bigr => i _; rewrite mulr_sumr; apply: eq_bigr => j _.
  by rewrite !mxE mulrACA [a * b]mulrC.
by rewrite pairing // -exprS.
Qed.

Lemma eq_scale_weights c c' m ws (p : params R m ws) :
  c =1 c' -> scale_weights c p = scale_weights c' p.
Proof.
elim: ws m c c' p => [|k ws IH] m c c' //= [[W b] rest] cc'.
by rewrite cc' (IH _ _ (fun l => c' l.+1)).
Qed.

(** A multiplier on one layer alone: [alpha] on the output, on the derivative in the input and in
    the weights of every other layer, and nothing on the derivative in its own weights. *)
Theorem multiplier_on_one_layer phi dphi m ws alpha (p : params R m ws) x v k :
  homogeneous phi dphi -> bias_free p -> 0 < alpha -> (k < size ws)%N ->
  let scaled := scale_weights (fun l => if l == k then alpha else 1) p in
  [/\ forward phi scaled x = alpha *: forward phi p x,
      (vjp phi dphi scaled x v).2 = alpha *: (vjp phi dphi p x v).2 &
      weights_only (vjp phi dphi scaled x v).1 =
        weights_only (scale_weights (fun l => if l == k then 1 else alpha) (vjp phi dphi p x v).1)].
Proof.
move=> hom bias0 alpha_gt0 k_in scaled; rewrite {}/scaled; set c := fun l => _.
have c_gt0 l : 0 < c l by rewrite /c; case: ifP; rewrite ?ltr01.
have totalE : \prod_(l < size ws) c l = alpha.
  rewrite (bigD1 (Ordinal k_in)) //= {1}/c eqxx big1 ?mulr1 // => l.
  by rewrite -val_eqE /c /= => /negbTE->.
have [-> ->] := gradients_under_factors x v hom bias0 c_gt0.
rewrite (output_under_factors x hom bias0 c_gt0) totalE; split=> //; congr (weights_only _).
apply: eq_scale_weights => l; rewrite /c; case: ifP => _; rewrite ?divr1 //.
by rewrite divff ?gt_eqF.
Qed.

End Homogeneity.

Section Euler.
Variable R : realFieldType.

(** A gated activation passes the pairing through. *)
Lemma gated_dot (phi dphi : nat -> R -> R) n (h g : 'cV[R]_n) : gated phi dphi ->
  dot (hadamard (map_mx (dphi 0%N) h) g) h = dot g (map_mx (phi 0%N) h).
Proof. by move=> gate; apply: eq_bigr => i _; rewrite !mxE gate mulrCA mulrA. Qed.

(** The input pairs with its gradient to the output. *)
Lemma euler_input phi dphi m ws (p : params R m ws) x v :
  gated phi dphi -> bias_free p -> dot (vjp phi dphi p x v).2 x = dot v (forward phi p x).
Proof.
elim: ws m phi dphi p x v => [|k ws IH] m phi dphi //= [[W b] rest] x v gate [-> bias0].
rewrite -(IH _ _ _ _ _ v (fun l => gate l.+1) bias0); case: vjp => gp g /=.
by rewrite dotC dot_mulmx trmxK -(gated_dot _ _ gate) /preact addr0 dotC.
Qed.

(** Every layer pairs with its gradient to the output: [<W_l, dy/dW_l> = y] read off by [v]. *)
Theorem euler_identity phi dphi m ws (p : params R m ws) x v l :
  gated phi dphi -> bias_free p -> (l < size ws)%N ->
  weight_dot l p (vjp phi dphi p x v).1 = dot v (forward phi p x).
Proof.
elim: ws l m phi dphi p x v => [|k ws IH] l m phi dphi //= [[W b] rest] x v gate [-> bias0] l_in.
have gate' : gated (fun l => phi l.+1) (fun l => dphi l.+1) := fun l => gate l.+1.
case: l l_in => [_ | l l_in].
  rewrite -(euler_input _ _ gate' bias0); case: vjp => gp g /=.
  rewrite -(gated_dot _ _ gate) {3}/preact addr0 -outer_dot.
  by apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite mulrC.
by rewrite -(IH l _ _ _ rest (map_mx (phi 0%N) (preact W 0 x)) v gate' bias0 l_in); case: vjp.
Qed.

(** So all layers have the same pairing. *)
Theorem layers_share_their_pairing phi dphi m ws (p : params R m ws) x v l l' :
  gated phi dphi -> bias_free p -> (l < size ws)%N -> (l' < size ws)%N ->
  let: (gp, _) := vjp phi dphi p x v in weight_dot l p gp = weight_dot l' p gp.
Proof.
move=> gate bias0 l_in l'_in; have := euler_identity x v gate bias0.
by case: vjp => gp g pairing; rewrite !pairing.
Qed.

End Euler.
