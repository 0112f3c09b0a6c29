(** * Coins: the gates of a random ReLU network are fair coins, as far as gradients can tell

    A unit of a ReLU network is open where its pre-activation is positive, so the Jacobian depends on its own weights in
    a tangled way: they decide which gates are open, and are multiplied by them.  If the law of the weights does not
    change when rows or columns change their sign, the tangle is harmless.  The Gram matrix [J^T J] of the
    Jacobian, and with it every gradient norm and singular value, has the law it would have if every gate were decided by an
    independent fair coin.

    Laws are finite here: a layer is drawn uniformly from a list of matrices, in which any matrix may occur
    any number of times.  Averages are then sums over all networks, and with coins also over all coins.  The activation
    is [b z] for [z > 0] and [a z] otherwise, without biases. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Isometer Require Import vectors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Coins.
Variables (R : realFieldType) (V : zmodType) (a b : R).

(** Gates of [k] units, what they multiply by, and which of them a pre-activation opens. *)
Definition gates k := {ffun 'I_k -> bool}.
Definition gate_mx k (s : gates k) : 'M[R]_k := diag_mx (\row_i (if s i then b else a)).
Definition opened k (h : 'cV[R]_k) : gates k := [ffun i => 0 < h i 0].

(** The diagonal matrix of signs. *)
Definition flip_mx k (e : gates k) : 'M[R]_k := diag_mx (\row_i (-1) ^+ e i).

(** For every layer the list from which its weights are drawn. *)
Fixpoint law (m : nat) (ws : seq nat) : Type :=
  if ws is k :: ws' then (seq 'M[R]_(k, m) * law k ws')%type else unit.

(** The sum of [F J] over all networks, [J] the Jacobian at the input [x]. *)
Fixpoint sum_networks m ws : law m ws -> 'cV[R]_m -> ('M[R]_(last m ws, m) -> V) -> V :=
  if ws is k :: ws' return law m ws -> 'cV[R]_m -> ('M[R]_(last m ws, m) -> V) -> V then
    fun p x F => \sum_(W <- p.1) let s := opened (W *m x) in
      sum_networks p.2 (gate_mx s *m (W *m x)) (fun J => F (J *m (gate_mx s *m W)))
  else fun _ _ F => F 1%:M.

(** The sum of [F J] over all weights and all coins, the coins deciding the gates in [J]. *)
Fixpoint sum_coins m ws : law m ws -> ('M[R]_(last m ws, m) -> V) -> V :=
  if ws is k :: ws' return law m ws -> ('M[R]_(last m ws, m) -> V) -> V then
    fun p F => \sum_(W <- p.1) \sum_(s : gates k) sum_coins p.2 (fun J => F (J *m (gate_mx s *m W)))
  else fun _ F => F 1%:M.

(** Laws that do not change when rows change their signs, or columns, but for those of the first layer. *)
Definition rows_symmetric m k (L : seq 'M[R]_(k, m)) := forall e, perm_eq [seq flip_mx e *m W | W <- L] L.
Definition columns_symmetric m k (L : seq 'M[R]_(k, m)) := forall e, perm_eq [seq W *m flip_mx e | W <- L] L.
Fixpoint symmetric (columns : bool) m ws : law m ws -> Prop :=
  if ws is k :: ws' return law m ws -> Prop then
    fun p => [/\ rows_symmetric p.1, columns -> columns_symmetric p.1 & symmetric true p.2]
  else fun _ => True.

(** No pre-activation vanishes, unless the signal does. *)
Fixpoint generic m ws : law m ws -> 'cV[R]_m -> Prop :=
  if ws is k :: ws' return law m ws -> 'cV[R]_m -> Prop then
    fun p x => forall W, W \in p.1 -> (forall i, (W *m x) i 0 != 0) /\
      let y := gate_mx (opened (W *m x)) *m (W *m x) in y = 0 \/ generic p.2 y
  else fun _ _ => True.

(** [F] depends on the Gram matrix only. *)
Definition of_gram m n (F : 'M[R]_(m, n) -> V) := forall J K, J^T *m J = K^T *m K -> F J = F K.

Lemma flip_tr k (e : gates k) : (flip_mx e)^T = flip_mx e.
Proof. exact: tr_diag_mx. Qed.

Lemma flip_flip k (e : gates k) : flip_mx e *m flip_mx e = 1%:M.
Proof.
rewrite mulmx_diag; apply/matrixP => i j; rewrite !mxE -expr2 -exprM mulnC exprM sqrrN expr1n.
by rewrite expr1n.
Qed.

Lemma flip_gate k (e s : gates k) : gate_mx s *m flip_mx e = flip_mx e *m gate_mx s.
Proof. by rewrite !mulmx_diag; congr diag_mx; apply/rowP => i; rewrite !mxE mulrC. Qed.

Lemma of_gram_mul m n l (F : 'M[R]_(m, n) -> V) (Z : 'M[R]_(l, n)) :
  of_gram F -> of_gram (fun J => F (J *m Z)).
Proof. by move=> gram J K same; apply: gram; rewrite !trmx_mul -!mulmxA !(mulmxA _^T J) !(mulmxA _^T K) same. Qed.

Lemma eq_sum_coins m ws (p : law m ws) F G : F =1 G -> sum_coins p F = sum_coins p G.
Proof.
elim: ws m p F G => [|k ws IH] m /= p F G same; first exact: same.
by apply: eq_bigr => W _; apply: eq_bigr => s _; apply: IH => J; rewrite same.
Qed.

Lemma eq_sum_networks m ws (p : law m ws) x F G : F =1 G -> sum_networks p x F = sum_networks p x G.
Proof.
elim: ws m p x F G => [|k ws IH] m /= p x F G same; first exact: same.
by apply: eq_bigr => W _; apply: IH => J; rewrite same.
Qed.

(** ** One layer *)

Lemma opened_flip k (e : gates k) (h : 'cV[R]_k) : (forall i, h i 0 != 0) ->
  opened (flip_mx e *m h) = [ffun i => e i (+) opened h i].
Proof.
move=> nz; apply/ffunP => i; rewrite !ffunE mul_diag_mx !mxE.
by case: (e i); rewrite /= ?mul1r // mulN1r oppr_gt0 -leNgt le_eqVlt (negPf (nz i)).
Qed.

(** Gates opened by one input, against coins: the same sums, for what does not see signs of rows. *)
Theorem one_layer_coins m k (L : seq 'M[R]_(k, m)) (x : 'cV[R]_m) (H : gates k -> 'M[R]_(k, m) -> V) :
  rows_symmetric L -> (forall W, W \in L -> forall i, (W *m x) i 0 != 0) ->
  (forall s e W, H s (flip_mx e *m W) = H s W) ->
  (\sum_(W <- L) H (opened (W *m x)) W) *+ 2 ^ k = \sum_(W <- L) \sum_(s : gates k) H s W.
Proof.
move=> sym nz inv.
have -> : (2 ^ k = #|{: gates k}|)%N by rewrite card_ffun card_bool card_ord.
rewrite -sumr_const.
under eq_bigr => e _ do rewrite -(perm_big _ (sym e)) big_map.
rewrite exchange_big /=; apply: eq_big_seq => W inL.
pose shift (e : gates k) : gates k := [ffun i => e i (+) opened (W *m x) i].
have shiftK : involutive shift by move=> e; apply/ffunP => i; rewrite !ffunE addbK.
rewrite [RHS](reindex_inj (inv_inj shiftK)) /=; apply: eq_bigr => e _.
by rewrite inv -mulmxA opened_flip //; exact: nz.
Qed.

(** ** Any number of layers *)

Lemma coins_flip m ws (p : law m ws) F (e : gates m) :
  symmetric true p -> of_gram F -> sum_coins p (fun J => F (J *m flip_mx e)) = sum_coins p F.
Proof.
case: ws p F => [|k ws] p F /=; first by move=> _; apply; rewrite mul1mx flip_tr flip_flip trmx1 mulmx1.
move=> [_ cols _] gram; rewrite -[in RHS](perm_big _ (cols isT e)) big_map.
apply: eq_bigr => W _; apply: eq_bigr => s _; apply: eq_sum_coins => J.
by rewrite !mulmxA.
Qed.

Lemma sum_constant m ws (p : law m ws) x (v : V) :
  sum_networks p x (fun=> v) *+ 2 ^ sumn ws = sum_coins p (fun=> v).
Proof.
elim: ws m p x => [|k ws IH] m p x //=.
rewrite expnD mulnC mulrnA -sumrMnl.
under eq_bigr do rewrite IH.
rewrite -sumrMnl; apply: eq_bigr => W _.
by rewrite sumr_const card_ffun card_bool card_ord.
Qed.

(** Gates are fair coins: whatever is computed from the Gram matrix of the Jacobian has the same sum over all
    networks, each counted as often as there are coins, and over all weights and coins. *)
Theorem gates_are_coins m ws (p : law m ws) x F :
  symmetric false p -> generic p x -> of_gram F ->
  sum_networks p x F *+ 2 ^ sumn ws = sum_coins p F.
Proof.
elim: ws m p x F => [|k ws IH] m p x F //= [rows _ sym] gen gram.
have sym' : symmetric false p.2 by case: (ws) (p.2) sym => //= l ws' q [].
rewrite expnD mulnC mulrnA -sumrMnl.
pose H s W := sum_coins p.2 (fun J => F (J *m (gate_mx s *m W))).
rewrite (eq_big_seq (fun W => H (opened (W *m x)) W)) => [|W inL].
  apply: one_layer_coins => // [W /gen [] //|s e W].
  rewrite /H -(coins_flip e sym (of_gram_mul _ gram)); apply: eq_sum_coins => J.
  by rewrite (mulmxA (gate_mx s)) flip_gate !mulmxA -(mulmxA J) flip_flip mulmx1.
have [nz [dead|gen']] := gen W inL; last exact: IH (of_gram_mul _ gram).
have closed : gate_mx (opened (W *m x)) = 0.
  move: (W *m x) nz dead => h nz dead; rewrite /gate_mx.
  suff -> : \row_i (if opened h i then b else a) = 0 by rewrite linear0.
  apply/rowP => i; have := congr1 (fun y : 'cV[R]_k => y i 0) dead.
  by rewrite /gate_mx mul_diag_mx !mxE => /eqP; rewrite mulf_eq0 (negPf (nz i)) orbF => /eqP.
have zero n (J : 'M[R]_(n, _)) : J *m (gate_mx (opened (W *m x)) *m W) = 0 by rewrite closed mul0mx mulmx0.
rewrite /H (eq_sum_coins _ (G := fun=> F 0)) => [|J]; last by rewrite zero.
by rewrite -(sum_constant _ (gate_mx (opened (W *m x)) *m (W *m x))); congr (_ *+ _);
  apply: eq_sum_networks => J; rewrite zero.
Qed.
End Coins.

(** The number of networks with a given Gram matrix of the Jacobian, and the number with coins for gates. *)
Definition count_networks (R : realFieldType) (a b : R) m ws (p : law R m ws) x (G : 'M[R]_m) : int :=
  sum_networks a b p x (fun J => (J^T *m J == G)%:R).
Definition count_coins (R : realFieldType) (a b : R) m ws (p : law R m ws) (G : 'M[R]_m) : int :=
  sum_coins a b p (fun J => (J^T *m J == G)%:R).

(** The law of the Gram matrix of the Jacobian is that with independent fair coins. *)
Theorem gram_law_is_that_of_coins (R : realFieldType) (a b : R) m ws (p : law R m ws) x G :
  symmetric false p -> generic a b p x ->
  count_networks a b p x G *+ 2 ^ sumn ws = count_coins a b p G.
Proof. by move=> sym gen; apply: gates_are_coins => // J K ->. Qed.

(** Such laws exist: weights of independent fair signs, that is, all matrices of signs. *)
Definition sign_mx (R : realFieldType) k m (f : {ffun 'I_k * 'I_m -> bool}) : 'M[R]_(k, m) :=
  \matrix_(i, j) (-1) ^+ f (i, j).
Definition all_sign_mx (R : realFieldType) k m : seq 'M[R]_(k, m) :=
  [seq sign_mx R f | f <- enum {: {ffun 'I_k * 'I_m -> bool}}].

Lemma perm_involutive (T : finType) (g : T -> T) : involutive g -> perm_eq [seq g f | f <- enum T] (enum T).
Proof.
move=> gK; apply: uniq_perm => [||f]; [|exact: enum_uniq|]; last first.
  by rewrite mem_enum; apply/mapP; exists (g f); rewrite ?mem_enum ?gK.
by rewrite map_inj_uniq ?enum_uniq //; exact: inv_inj.
Qed.

Theorem sign_matrices_are_symmetric (R : realFieldType) k m :
  rows_symmetric (all_sign_mx R k m) /\ columns_symmetric (all_sign_mx R k m).
Proof.
split=> e; rewrite /all_sign_mx -map_comp.
  pose g (f : {ffun 'I_k * 'I_m -> bool}) : {ffun 'I_k * 'I_m -> bool} := [ffun ij => e ij.1 (+) f ij].
  have gK : involutive g by move=> f; apply/ffunP => ij; rewrite !ffunE addKb.
  have E f : flip_mx R e *m sign_mx R f = sign_mx R (g f).
    by apply/matrixP => i j; rewrite mul_diag_mx !mxE ffunE signr_addb.
  by rewrite (eq_map E) map_comp; apply: perm_map; exact: perm_involutive.
pose g (f : {ffun 'I_k * 'I_m -> bool}) : {ffun 'I_k * 'I_m -> bool} := [ffun ij => e ij.2 (+) f ij].
have gK : involutive g by move=> f; apply/ffunP => ij; rewrite !ffunE addKb.
have E f : sign_mx R f *m flip_mx R e = sign_mx R (g f).
  by apply/matrixP => i j; rewrite mul_mx_diag !mxE ffunE signr_addb mulrC.
by rewrite (eq_map E) map_comp; apply: perm_map; exact: perm_involutive.
Qed.
