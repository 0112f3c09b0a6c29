(** * Hidden units that start equal stay equal

    Renumbering the units of hidden layers - rows of one weight matrix, columns of the next - changes
    nothing that a network computes, and renumbers its gradient.  So if a renumbering leaves the
    parameters as they are, it leaves the gradient as it is, and every step of every optimizer that
    treats the parameters entry by entry: gradient descent with or without momentum, weight decay,
    Adam, any learning rates, any batches and any loss.  Initialized with constants, a hidden layer
    acts as one unit for ever, whatever its width: this is why weights are drawn at random. *)

From mathcomp Require Import all_ssreflect all_algebra all_fingroup.
From Isometer Require Import vectors network.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

Section Symmetry.
Variable R : comRingType.

(** A permutation of the units of every layer. *)
Fixpoint renumbering (ws : seq nat) : Type :=
  if ws is k :: ws' then ('S_k * renumbering ws')%type else unit.

(** The permutation of the outputs, if the inputs are permuted by [s]. *)
Fixpoint output_permutation m ws : 'S_m -> renumbering ws -> 'S_(last m ws) :=
  if ws is k :: ws' return 'S_m -> renumbering ws -> 'S_(last m ws) then
    fun _ sigma => output_permutation sigma.1 sigma.2
  else fun s _ => s.

(** The parameters of the network with its units renumbered. *)
Fixpoint renumber m ws : 'S_m -> renumbering ws -> params R m ws -> params R m ws :=
  if ws is k :: ws' return 'S_m -> renumbering ws -> params R m ws -> params R m ws then
    fun s sigma p => let: (W, b, rest) := p in
      (\matrix_(i, j) W (sigma.1 i) (s j), row_perm sigma.1 b, renumber sigma.1 sigma.2 rest)
  else fun _ _ _ => tt.

Lemma preact_renumbered m k (s : 'S_m) (r : 'S_k) (W : 'M[R]_(k, m)) b x :
  preact (\matrix_(i, j) W (r i) (s j)) (row_perm r b) (row_perm s x) = row_perm r (preact W b x).
Proof.
apply/colP => i; rewrite !mxE; congr (_ + _).
by rewrite [in RHS](reindex_inj (@perm_inj _ s)); apply: eq_bigr => j _; rewrite !mxE.
Qed.

Lemma map_renumbered n (s : 'S_n) (f : R -> R) (h : 'cV[R]_n) :
  map_mx f (row_perm s h) = row_perm s (map_mx f h).
Proof. by apply/colP => i; rewrite !mxE. Qed.

(** Renumbering the units renumbers the outputs: for hidden units it changes nothing. *)
Theorem forward_renumbered phi m ws (s : 'S_m) (sigma : renumbering ws) (p : params R m ws) x :
  forward phi (renumber s sigma p) (row_perm s x) =
    row_perm (output_permutation s sigma) (forward phi p x).
Proof.
elim: ws m phi s sigma p x => [|k ws IH] m phi s //= [r sigma] [[W b] rest] x /=.
by rewrite preact_renumbered map_renumbered IH.
Qed.

(** Renumbering the units renumbers the gradient. *)
Theorem gradient_renumbered phi dphi m ws (s : 'S_m) (sigma : renumbering ws) (p : params R m ws) x v :
  vjp phi dphi (renumber s sigma p) (row_perm s x) (row_perm (output_permutation s sigma) v) =
    (renumber s sigma (vjp phi dphi p x v).1, row_perm s (vjp phi dphi p x v).2).
Proof.
elim: ws m phi dphi s sigma p x v => [|k ws IH] m phi dphi s //= [r sigma] [[W b] rest] x v /=.
rewrite preact_renumbered map_renumbered IH; case: vjp => gp g /=.
have hadamardE : hadamard (map_mx (dphi 0%N) (row_perm r (preact W b x))) (row_perm r g) =
    row_perm r (hadamard (map_mx (dphi 0%N) (preact W b x)) g).
  by apply/colP => i; rewrite !mxE.
rewrite hadamardE; set d := hadamard _ g; congr (_, _, _, _).
  by apply/matrixP => i j; rewrite !mxE !big_ord1 !mxE.
apply/colP => j; rewrite !mxE [in RHS](reindex_inj (@perm_inj _ r)).
by apply: eq_bigr => i _; rewrite !mxE.
Qed.

(** An update that treats each entry by itself: layer, parameter, two memories, gradient. *)
Fixpoint entrywise (f : nat -> R -> R -> R -> R -> R) m ws :
    params R m ws -> params R m ws -> params R m ws -> params R m ws -> params R m ws :=
  if ws is k :: ws' return
    params R m ws -> params R m ws -> params R m ws -> params R m ws -> params R m ws then
    fun p q r g =>
      (\matrix_(i, j) f 0%N (p.1.1 i j) (q.1.1 i j) (r.1.1 i j) (g.1.1 i j),
       \col_i f 0%N (p.1.2 i 0) (q.1.2 i 0) (r.1.2 i 0) (g.1.2 i 0),
       entrywise (fun l => f l.+1) p.2 q.2 r.2 g.2)
  else fun _ _ _ _ => tt.

(** Inputs with the gradients of their losses as functions of the output. *)
Definition batch m n := seq ('cV[R]_m * ('cV[R]_n -> 'cV[R]_n)).

(** The gradient of the sum of the losses of a batch. *)
Definition batch_gradient phi dphi m ws (samples : batch m (last m ws)) (p : params R m ws) :=
  foldr (fun sample total => let: (x, dloss) := sample in
    params_move 1 total (vjp phi dphi p x (dloss (forward phi p x))).1)
  (params_zero R m ws) samples.

(** Parameters and two memories, such as momentum and Adam's mean of squares. *)
Definition state m ws : Type := (params R m ws * params R m ws * params R m ws)%type.

(** What an optimizer does with parameter, memories and gradient of each entry at a step: gradient
    descent, momentum, weight decay, Adam, with any schedule and any rates by layer. *)
Record optimizer := Optimizer {
  new_parameter : nat -> nat -> R -> R -> R -> R -> R;
  new_memory : nat -> nat -> R -> R -> R -> R -> R;
  new_other_memory : nat -> nat -> R -> R -> R -> R -> R }.

(** The state after [t] steps on batches [samples]. *)
Fixpoint train (opt : optimizer) phi dphi m ws (samples : nat -> batch m (last m ws))
    (start : state m ws) (t : nat) : state m ws :=
  if t is t'.+1 then
    let: (p, q, r) := train opt phi dphi samples start t' in
    let g := batch_gradient phi dphi (samples t') p in
    (entrywise (new_parameter opt t') p q r g, entrywise (new_memory opt t') p q r g,
     entrywise (new_other_memory opt t') p q r g)
  else start.

Lemma renumber_entrywise f m ws (s : 'S_m) (sigma : renumbering ws) p q r g :
  renumber s sigma (entrywise f p q r g) =
    entrywise f (renumber s sigma p) (renumber s sigma q) (renumber s sigma r) (renumber s sigma g).
Proof.
elim: ws m f s sigma p q r g => [|k ws IH] m f s //= [r sigma].
move=> [[? ?] ?] [[? ?] ?] [[? ?] ?] [[? ?] ?] /=; rewrite IH; congr (_, _, _).
  by apply/matrixP => i j; rewrite !mxE.
by apply/colP => i; rewrite !mxE.
Qed.

Lemma renumber_move a m ws (s : 'S_m) (sigma : renumbering ws) (p q : params R m ws) :
  renumber s sigma (params_move a p q) = params_move a (renumber s sigma p) (renumber s sigma q).
Proof.
elim: ws m s sigma p q => [|k ws IH] m s //= [r sigma] [[? ?] ?] [[? ?] ?] /=; rewrite IH.
congr (_, _, _); first by apply/matrixP => i j; rewrite !mxE.
by apply/colP => i; rewrite !mxE.
Qed.

Lemma renumber_zero m ws (s : 'S_m) (sigma : renumbering ws) :
  renumber s sigma (params_zero R m ws) = params_zero R m ws.
Proof.
elim: ws m s sigma => [|k ws IH] m s //= [r sigma] /=; rewrite IH.
congr (_, _, _); first by apply/matrixP => i j; rewrite !mxE.
by apply/colP => i; rewrite !mxE.
Qed.

Lemma row_perm_id n (x : 'cV[R]_n) : row_perm 1%g x = x.
Proof. by apply/colP => i; rewrite mxE perm1. Qed.

(** A renumbering of hidden units that leaves the parameters alone leaves the gradient alone. *)
Lemma symmetric_gradient phi dphi m ws (sigma : renumbering ws) samples (p : params R m ws) :
  output_permutation (1%g : 'S_m) sigma = 1%g -> renumber 1%g sigma p = p ->
  renumber 1%g sigma (batch_gradient phi dphi samples p) = batch_gradient phi dphi samples p.
Proof.
move=> hidden symmetric; elim: samples => [|[x dloss] samples IH] /=; first exact: renumber_zero.
rewrite renumber_move IH; congr params_move.
have := gradient_renumbered phi dphi 1%g sigma p x (dloss (forward phi p x)).
by rewrite symmetric hidden !row_perm_id; case: vjp => gp g [<-].
Qed.

(** If a renumbering of hidden units leaves parameters and memories alone at the start, it does so
    after any number of steps. *)
Theorem symmetry_is_kept opt phi dphi m ws (sigma : renumbering ws) samples (p0 q0 r0 : params R m ws) t :
  output_permutation (1%g : 'S_m) sigma = 1%g ->
  renumber 1%g sigma p0 = p0 -> renumber 1%g sigma q0 = q0 -> renumber 1%g sigma r0 = r0 ->
  let: (p, q, r) := train opt phi dphi samples (p0, q0, r0) t in
  [/\ renumber 1%g sigma p = p, renumber 1%g sigma q = q & renumber 1%g sigma r = r].
Proof.
move=> hidden p0E q0E r0E; elim: t => [|t] //=.
case: train => -[p q] r [pE qE rE].
by rewrite !renumber_entrywise pE qE rE symmetric_gradient.
Qed.

(** Every layer has one weight and one bias, repeated. *)
Fixpoint constant_layers m ws : params R m ws -> Prop :=
  if ws is k :: ws' return params R m ws -> Prop then
    fun p => let: (W, b, rest) := p in
      [/\ exists w, W = const_mx w, exists c, b = const_mx c & constant_layers rest]
  else fun _ => True.

Lemma constant_layers_symmetric m ws (s : 'S_m) (sigma : renumbering ws) (p : params R m ws) :
  constant_layers p -> renumber s sigma p = p.
Proof.
elim: ws m s sigma p => [|k ws IH] m s /= sigma => [[]|[[W b] rest]] // [[w ->] [c ->] const].
rewrite IH //; congr (_, _, _); first by apply/matrixP => i j; rewrite !mxE.
by apply/colP => i; rewrite !mxE.
Qed.

(** Initialized with constants, hidden units cannot be told apart after any number of steps. *)
Theorem constant_initialization opt phi dphi m ws (sigma : renumbering ws) samples
    (p0 : params R m ws) t :
  output_permutation (1%g : 'S_m) sigma = 1%g -> constant_layers p0 ->
  let: (p, _, _) := train opt phi dphi samples (p0, params_zero R m ws, params_zero R m ws) t in
  renumber 1%g sigma p = p.
Proof.
move=> hidden const.
have := symmetry_is_kept opt phi dphi samples t hidden (constant_layers_symmetric 1%g sigma const)
  (renumber_zero _ _) (renumber_zero _ _).
by case: train => -[p q] r [].
Qed.

(** Units of one layer are equal if their rows are: their incoming weights and biases; and if the
    columns of the next matrix are: their outgoing weights. *)
Fixpoint equal_units (equal_inputs : bool) m ws : params R m ws -> Prop :=
  if ws is k :: ws' return params R m ws -> Prop then
    fun p => let: (W, b, rest) := p in
      [/\ ws' <> [::] -> forall i i', row i W = row i' W /\ b i 0 = b i' 0,
          equal_inputs -> forall j j', col j W = col j' W &
          equal_units true rest]
  else fun _ => True.

Fixpoint no_renumbering (ws : seq nat) : renumbering ws :=
  if ws is k :: ws' then (1%g, no_renumbering ws') else tt.

Lemma output_unpermuted k m ws (s : 'S_m) : output_permutation s (no_renumbering (k :: ws)) = 1%g.
Proof. by elim: ws m k s => [|k' ws IH] m k s //; rewrite -(IH k k' 1%g). Qed.

Lemma equal_rows m k ws (p : params R m (k :: ws)) : ws <> [::] ->
  (forall sigma, output_permutation (1%g : 'S_m) sigma = 1%g -> renumber 1%g sigma p = p) ->
  forall i i', row i p.1.1 = row i' p.1.1 /\ p.1.2 i 0 = p.1.2 i' 0.
Proof.
case: ws p => [|k' ws] // [[W b] rest] _ symmetric i i'.
have /= := symmetric (tperm i i', no_renumbering (k' :: ws)) (output_unpermuted k' ws (tperm i i')).
move=> -[WE bE _]; split; last by rewrite -[in LHS]bE mxE tpermL.
by apply/rowP => j; rewrite mxE -[in LHS]WE !mxE perm1 tpermL.
Qed.

Lemma symmetric_equal_units m ws (p : params R m ws) :
  (forall s sigma, output_permutation s sigma = 1%g -> renumber s sigma p = p) -> equal_units true p.
Proof.
elim: ws m p => [|k ws IH] m //= [[W b] rest] symmetric; split.
- move=> hidden; apply: (equal_rows (p := (W, b, rest)) hidden) => // sigma.
  exact: symmetric.
- move=> _ j j'; have := symmetric (tperm j j') (no_renumbering (k :: ws)) (output_unpermuted k ws (tperm j j')).
  by case=> WE _ _; apply/colP => i; rewrite mxE -[in LHS]WE !mxE perm1 tpermL.
by apply: IH => r sigma fixed; have := symmetric 1%g (r, sigma) fixed; case.
Qed.

(** Initialized with constants, every hidden layer acts as one unit for ever: its rows stay equal,
    and the columns of the next layer too. *)
Theorem constant_layers_stay_equal opt phi dphi m ws samples (p0 : params R m ws) t :
  constant_layers p0 ->
  let: (p, _, _) := train opt phi dphi samples (p0, params_zero R m ws, params_zero R m ws) t in
  equal_units false p.
Proof.
move=> const; have := fun sigma => constant_initialization opt phi dphi (sigma := sigma) samples t ^~ const.
case: train => -[p q] r; case: ws p0 samples const p q r => [|k ws] //= p0 samples const.
move=> [[W b] rest] q r symmetric; split=> //.
  by move=> hidden; apply: (equal_rows (p := (W, b, rest)) hidden).
by apply: symmetric_equal_units => s sigma fixed; have := symmetric (s, sigma) fixed; case.
Qed.
End Symmetry.
