(** * Backpropagation is the adjoint of the tangent map

    One backward pass costs as much as one forward pass, whatever the number of weights.  What makes
    this work is linear algebra: the map from changes of all weights, biases and inputs to changes of
    the output is a composition of linear maps, and the backward pass applies their transposes in
    reverse order.  So the number that backpropagation pairs with a change of the parameters is the
    change of the output, read off by [v], for every such change at once. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors network.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

Section Adjoint.
Variable R : comRingType.

Lemma hadamard_dot n (d u v : 'cV[R]_n) : dot v (hadamard d u) = dot (hadamard d v) u.
Proof. by apply: eq_bigr => i _; rewrite !mxE mulrCA mulrA. Qed.

Lemma hadamard_diag n (d u : 'cV[R]_n) : hadamard d u = diag_mx d^T *m u.
Proof. by apply/colP => i; rewrite mul_diag_mx !mxE. Qed.

Lemma outer_dot m k (d : 'cV[R]_k) (x : 'cV[R]_m) (V : 'M[R]_(k, m)) :
  \sum_i \sum_j (d *m x^T) i j * V i j = dot d (V *m x).
Proof.
apply: eq_bigr => i _; rewrite mxE mulr_sumr; apply: eq_bigr => j _.
by rewrite mxE big_ord1 mxE -mulrA (mulrC (V i j)).
Qed.

(** Backpropagation pairs every change of weights, biases and input with the change of the output. *)
Theorem backprop_is_adjoint (phi dphi : nat -> R -> R) m ws (p dp : params R m ws) x dx v :
  dot v (jvp phi dphi p x dp dx) =
    params_dot (vjp phi dphi p x v).1 dp + dot (vjp phi dphi p x v).2 dx.
Proof.
elim: ws m phi dphi p dp x dx v => [|k ws IH] m phi dphi /=; first by move=> *; rewrite add0r.
move=> [[W b] rest] [[dW db] drest] x dx v; rewrite IH.
case: vjp => gp g /=; rewrite hadamard_dot outer_dot !dotDr (dot_mulmx W).
by ring.
Qed.
End Adjoint.
