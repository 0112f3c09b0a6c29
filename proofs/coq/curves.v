(** * Gradients seen along curves

    A gradient is what pairs with every motion to the rate at which the loss changes.  Defining it so
    takes derivatives of functions of one variable only: the loss along a differentiable curve of
    weights.  Sums, products and the squared error obey the usual rules. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import boolp classical_sets functions reals topology normedtype derive realfun.
From Isometer Require Import vectors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Section Curves.
Variable R : realType.

(** A curve of columns has the velocity [dx] at time [t]. *)
Definition column_velocity (t : R) n (x : R -> 'cV[R]_n) (dx : 'cV[R]_n) : Prop :=
  forall i, is_derive t 1 (fun s => x s i 0) (dx i 0).

(** [v] is the gradient of the loss [f] at [y]: along every curve through [y] the loss changes by
    the inner product of [v] and the velocity. *)
Definition is_gradient n (f : 'cV[R]_n -> R) (y v : 'cV[R]_n) : Prop :=
  forall (t : R) (c : R -> 'cV[R]_n) dc, c t = y -> column_velocity t c dc ->
    is_derive t 1 (fun s => f (c s)) (dot v dc).

Lemma is_derive_unique (f : R -> R) (t df df' : R) :
  is_derive t 1 f df -> is_derive t 1 f df' -> df = df'.
Proof. by move=> d d'; rewrite -(@derive_val _ _ _ _ _ _ _ d) (@derive_val _ _ _ _ _ _ _ d'). Qed.

Lemma is_derive_big n (f : 'I_n -> R -> R) (df : 'I_n -> R) (t : R) :
  (forall i, is_derive t 1 (f i) (df i)) -> is_derive t 1 (fun s => \sum_i f i s) (\sum_i df i).
Proof.
move=> fdf; have := is_derive_sum fdf; set F := (F in is_derive _ _ F _ -> _).
suff -> : F = (fun s => \sum_i f i s) by [].
by apply/funext => s; rewrite /F; elim/big_ind2: _ => // g y g' y' <- <-.
Qed.

Lemma is_derive_add (f g : R -> R) (t df dg : R) : is_derive t 1 f df -> is_derive t 1 g dg ->
  is_derive t 1 (fun s => f s + g s) (df + dg).
Proof. by move=> fdf gdg; apply: is_deriveD. Qed.

Lemma is_derive_mul (f g : R -> R) (t df dg : R) : is_derive t 1 f df -> is_derive t 1 g dg ->
  is_derive t 1 (fun s => f s * g s) (df * g t + f t * dg).
Proof.
by move=> fdf gdg; have := is_deriveM fdf gdg; rewrite /GRing.scale /= addrC [g t * df]mulrC.
Qed.

(** The squared error is a loss with a gradient. *)
Theorem squared_error_gradient n (target y : 'cV[R]_n) :
  is_gradient (fun z => normsq (z - target) / 2%:R) y (y - target).
Proof.
move=> t c dc <- cdc; rewrite /normsq /dot.
have diff i : is_derive t 1 (fun s => (c s - target) i 0) (dc i 0).
  have -> : (fun s => (c s - target) i 0) = (fun s => c s i 0 + - target i 0).
    by apply/funext => s; rewrite !mxE.
  by rewrite -[dc i 0]addr0; apply: is_derive_add => //; apply: is_derive_cst.
have := is_derive_mul (is_derive_big (fun i => is_derive_mul (diff i) (diff i)))
  (is_derive_cst (2%:R^-1 : R) t 1).
congr (is_derive _ _ _ _); rewrite mulr0 addr0 mulr_suml; apply: eq_bigr => i _.
by rewrite /cst [dc i 0 * _]mulrC -mulr2n -[_ *+ 2]mulr_natr mulfK ?pnatr_eq0.
Qed.
End Curves.
