(** * The rounding error of inner products

    Every addition and multiplication of a computer returns the exact result times [1 + d] with
    [|d| <= u], the unit roundoff.  However the products of an inner product of [k] terms are summed
    - one after the other, in blocks, in a tree, by many threads, with or without fused
    multiply-add -, the result is off by at most [gamma_k = k u / (1 - k u)] times the sum of the
    moduli of the products.  So is every entry of a matrix product, of a Gram matrix, of a gradient. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** An order of summation: which partial sums are added to which.  A leaf is a product [x y]. *)
Inductive summation (R : Type) : Type :=
  | Product of R & R
  | Sum of summation R & summation R.

Section DotError.
Variable R : realFieldType.
Implicit Types (u d x y : R) (s : summation R).

Fixpoint terms s : nat := if s is Sum l r then (terms l + terms r)%N else 1%N.

Fixpoint exact_value s : R :=
  match s with Product x y => x * y | Sum l r => exact_value l + exact_value r end.

(** The sum of the moduli of the products. *)
Fixpoint modulus s : R :=
  match s with Product x y => `|x * y| | Sum l r => modulus l + modulus r end.

(** [computed u s v]: [v] is a possible result of evaluating [s] with roundoff [u].  An operation
    that does not round, such as the product in a fused multiply-add, has [d = 0]. *)
Inductive computed u : summation R -> R -> Prop :=
  | ComputedProduct x y d : `|d| <= u -> computed u (Product x y) (x * y * (1 + d))
  | ComputedSum l r a b d : computed u l a -> computed u r b -> `|d| <= u ->
      computed u (Sum l r) ((a + b) * (1 + d)).

Definition gamma u k : R := k%:R * u / (1 - k%:R * u).

Lemma modulus_ge0 s : 0 <= modulus s.
Proof. by elim: s => [x y|l lge0 r rge0] /=; rewrite ?normr_ge0 ?addr_ge0. Qed.

Lemma modulus_bounds s : `|exact_value s| <= modulus s.
Proof.
by elim: s => [x y|l IHl r IHr] //=; rewrite (le_trans (ler_norm_add _ _)) ?ler_add.
Qed.

Lemma terms_gt0 s : (0 < terms s)%N.
Proof. by elim: s => [x y|l IHl r IHr] //=; rewrite addn_gt0 IHl. Qed.

(** One more rounding on top of a value with relative error [q - 1]. *)
Lemma one_more_rounding u q x v m d : 0 <= u -> 1 <= q -> `|x| <= m -> `|v - x| <= (q - 1) * m ->
  `|d| <= u -> `|v * (1 + d) - x| <= ((1 + u) * q - 1) * m.
Proof.
move=> u_ge0 q_ge1 xm vx du; have m_ge0 : 0 <= m := le_trans (normr_ge0 _) xm.
have -> : v * (1 + d) - x = (v - x) * (1 + d) + x * d by ring.
have -> : ((1 + u) * q - 1) * m = (q - 1) * m * (1 + u) + m * u by ring.
rewrite (le_trans (ler_norm_add _ _)) // !normrM ler_add ?ler_pmul //.
by rewrite (le_trans (ler_norm_add _ _)) // normr1 ler_add2l.
Qed.

Lemma summation_error_power u s v : 0 <= u -> computed u s v ->
  `|v - exact_value s| <= ((1 + u) ^+ terms s - 1) * modulus s.
Proof.
move=> u_ge0; have u1_ge1 : 1 <= 1 + u by rewrite ler_addl.
elim=> [x y d du|l r a b d _ IHl _ IHr du] /=.
  rewrite -[_ ^+ 1]mulr1 expr1 one_more_rounding //.
  by rewrite !subrr normr0 mul0r.
have grow k k' : (0 < k')%N -> (1 + u) ^+ (k + k').-1 = (1 + u) ^+ k * (1 + u) ^+ k'.-1.
  by case: k' => // k' _; rewrite addnS exprD.
set n := (terms l + terms r)%N; have n_gt0 : (0 < n)%N by rewrite addn_gt0 terms_gt0.
have less k : (k <= n.-1)%N -> (1 + u) ^+ k <= (1 + u) ^+ n.-1 by move=> kn; rewrite ler_weexpn2l.
rewrite -[in X in X - 1](prednK n_gt0) exprS one_more_rounding //.
- by rewrite exprn_ege1.
- by rewrite (modulus_bounds (Sum l r)).
have -> : a + b - (exact_value l + exact_value r) = (a - exact_value l) + (b - exact_value r) by ring.
rewrite (le_trans (ler_norm_add _ _)) // mulrDr ler_add //.
  rewrite (le_trans IHl) // ler_wpmul2r ?modulus_ge0 // ler_add2r less //.
  by rewrite /n -subn1 leq_subRL // add1n -addn1 leq_add2l terms_gt0.
rewrite (le_trans IHr) // ler_wpmul2r ?modulus_ge0 // ler_add2r less //.
by rewrite /n -subn1 leq_subRL // leq_add2r terms_gt0.
Qed.

Lemma bernoulli_below u k : 0 <= u <= 1 -> 1 - k%:R * u <= (1 - u) ^+ k.
Proof.
move=> /andP[u_ge0 u_le1]; elim: k => [|k IHk]; first by rewrite mul0r subr0 expr0.
have u1_ge0 : 0 <= 1 - u by rewrite subr_ge0.
rewrite exprSr (le_trans _ (ler_wpmul2r u1_ge0 IHk)) // -subr_ge0.
have -> : (1 - k%:R * u) * (1 - u) - (1 - k.+1%:R * u) = k%:R * (u * u).
  by rewrite -[k.+1]addn1 natrD; ring.
by rewrite !mulr_ge0 ?ler0n.
Qed.

(** [(1 + u)^k - 1 <= gamma_k]. *)
Theorem power_is_below_gamma u k : 0 <= u -> k%:R * u < 1 -> (1 + u) ^+ k - 1 <= gamma u k.
Proof.
case: k => [|k] u_ge0 small; first by rewrite expr0 subrr /gamma !mul0r.
have u_le1 : u <= 1 by rewrite (le_trans _ (ltW small)) // ler_pemull // ler1n.
have pos : 0 < 1 - k.+1%:R * u by rewrite subr_gt0.
have -> : gamma u k.+1 = (1 - k.+1%:R * u)^-1 - 1.
  by rewrite /gamma; move: (_ * u) pos => x pos; field; rewrite gt_eqF.
rewrite ler_add2r -[_^-1]mul1r ler_pdivl_mulr //.
apply: (@le_trans _ _ ((1 + u) ^+ k.+1 * (1 - u) ^+ k.+1)).
  by rewrite ler_wpmul2l ?exprn_ge0 ?addr_ge0 ?ler01 // bernoulli_below // u_ge0.
rewrite -exprMn exprn_ile1 //.
  by rewrite mulr_ge0 ?subr_ge0 ?addr_ge0 ?ler01.
by rewrite mulrC -subr_sqr expr1n ger_addl oppr_le0 sqr_ge0.
Qed.

(** The error of an inner product of [k] terms, whatever the order of summation. *)
Theorem dot_product_error u s v : 0 <= u -> (terms s)%:R * u < 1 -> computed u s v ->
  `|v - exact_value s| <= gamma u (terms s) * modulus s.
Proof.
move=> u_ge0 small comp; rewrite (le_trans (summation_error_power u_ge0 comp)) //.
by rewrite ler_wpmul2r ?modulus_ge0 // power_is_below_gamma.
Qed.
End DotError.
