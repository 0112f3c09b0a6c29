(** * Embeddings: complex layers and rescaled layers as real matrices

    Transforms and complex layers are handled by real arithmetic: [B + i C] becomes the real matrix [[B, -C], [C, B]], which
    acts on real and imaginary parts.  Products, transposes and inverses of such matrices have the same form, so the
    whole of the real theory applies, with every singular value twice.  Rescaling rows and columns, on the
    other hand, moves every singular value, but by a bounded factor. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Isometer Require Import vectors norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Complex.
Variable R : rcfType.

(** The real matrix of [B + i C], and multiplication by [i]. *)
Definition embed m n (B C : 'M[R]_(m, n)) : 'M[R]_(m + m, n + n) := block_mx B (- C) C B.
Definition times_i n : 'M[R]_(n + n) := embed 0 1%:M.

(** It acts on real and imaginary parts as [B + i C] does. *)
Theorem embed_acts m n (B C : 'M[R]_(m, n)) (x y : 'cV[R]_n) :
  embed B C *m col_mx x y = col_mx (B *m x - C *m y) (C *m x + B *m y).
Proof. by rewrite mul_block_col mulNmx. Qed.

Theorem embed_mul m k n (B C : 'M[R]_(m, k)) (D E : 'M[R]_(k, n)) :
  embed B C *m embed D E = embed (B *m D - C *m E) (C *m D + B *m E).
Proof.
by rewrite /embed mulmx_block !mulNmx !mulmxN opprD [- (C *m D) + _]addrC [- (C *m E) + _]addrC.
Qed.

(** The transpose of the matrix belongs to the conjugate transpose. *)
Theorem embed_tr m n (B C : 'M[R]_(m, n)) : (embed B C)^T = embed B^T (- C^T).
Proof. by rewrite /embed tr_block_mx linearN /= opprK. Qed.

(** The form is that of commuting with multiplication by [i]. *)
Theorem embed_commutes m n (A : 'M[R]_(m + m, n + n)) :
  times_i m *m A = A *m times_i n <-> exists B C, A = embed B C.
Proof.
rewrite /times_i; split=> [|[B [C ->]]]; last first.
  by rewrite !embed_mul !mul0mx !mul1mx !mulmx0 !mulmx1 !add0r !addr0.
rewrite -[A]submxK; move: (ulsubmx A) (ursubmx A) (dlsubmx A) (drsubmx A) => P Q S T.
rewrite !mulmx_block !mul0mx !mulmx0 !mulNmx !mulmxN !mul1mx !mulmx1 !add0r !addr0.
by move=> /eq_block_mx [<- _ <- _]; exists P, S.
Qed.

(** So inverses have it too. *)
Theorem embed_inverse n (B C : 'M[R]_n) : embed B C \in unitmx ->
  exists D E, invmx (embed B C) = embed D E.
Proof.
move=> u; apply/embed_commutes.
have /embed_commutes comm : exists D E, embed B C = embed D E by exists B, C.
by move: (embed B C) u comm => K u comm; rewrite -[LHS](mulKmx u) (mulmxA K) -comm mulmxK.
Qed.

Lemma times_i_tr n : (times_i n)^T = - times_i n.
Proof. by rewrite /times_i embed_tr trmx0 trmx1 /embed opp_block_mx !oppr0 opprK. Qed.

(** Eigenvectors of [K^T K] come in orthogonal pairs with one eigenvalue: singular values come twice. *)
Theorem embed_pairs m n (B C : 'M[R]_(m, n)) (v : 'cV[R]_(n + n)) l :
  let K := embed B C in let w := times_i n *m v in
  K^T *m K *m v = l *: v -> [/\ K^T *m K *m w = l *: w, dot v w = 0 & normsq w = normsq v].
Proof.
move=> K w eig; have : exists D E, K^T *m K = embed D E.
  by rewrite /K embed_tr embed_mul; do 2!eexists; reflexivity.
move/embed_commutes => comm; split.
- by rewrite /w mulmxA -comm -mulmxA eig scalemxAr.
- have skew : dot v w = - dot w v by rewrite dot_mulmx times_i_tr mulNmx dotNl.
  have : dot v w = - dot v w by rewrite {1}skew dotC.
  by move/eqP; rewrite -addr_eq0 -mulr2n mulrn_eq0 => /eqP.
- rewrite /normsq /w dot_mulmx mulmxA times_i_tr mulNmx /times_i embed_mul.
  rewrite !(mul0mx, mulmx1, mulmx0, sub0r, addr0) /embed oppr0 opp_block_mx opprK oppr0.
  by rewrite -scalar_mx_block mul1mx.
Qed.
End Complex.

Section Rescaled.
Variable R : rcfType.

(** Multiplication by invertible matrices from both sides moves the norm by a bounded factor. *)
Theorem rescaled_norm m n (A : 'M[R]_(m, n)) (D : 'M[R]_m) (E : 'M[R]_n) a c d d' e e' :
  D \in unitmx -> E \in unitmx -> is_norm A a -> is_norm (D *m A *m E) c ->
  is_norm D d -> is_norm (invmx D) d' -> is_norm E e -> is_norm (invmx E) e' ->
  c <= d * a * e /\ a <= d' * c * e'.
Proof.
move=> uD uE [a0 bA lA] [c0 bC lC] [d0 bD _] [d'0 bD' _] [e0 bE _] [e'0 bE' _]; split.
  by apply: lC; [rewrite !mulr_ge0 | do 2!(apply: stretch_le_mul; rewrite ?mulr_ge0 //)].
apply: lA; first by rewrite !mulr_ge0.
have -> : A = invmx D *m (D *m A *m E) *m invmx E by rewrite !mulmxA mulVmx // mul1mx mulmxK.
by do 2!(apply: stretch_le_mul; rewrite ?mulr_ge0 //).
Qed.

(** And the smallest stretch: it is multiplied by the smallest stretches at least. *)
Theorem rescaled_smallest m n (A : 'M[R]_(m, n)) (D : 'M[R]_m) (E : 'M[R]_n) a c d e :
  is_smallest A a -> is_smallest (D *m A *m E) c -> is_smallest D d -> is_smallest E e -> d * a * e <= c.
Proof.
move=> [a0 bA _] [_ _ mC] [d0 bD _] [_ bE _]; apply: mC.
by do 2!(apply: stretch_ge_mul; rewrite ?mulr_ge0 //).
Qed.
End Rescaled.
