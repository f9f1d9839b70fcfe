### What the tour says in English.
###
### A message is one sentence, paragraph or word of the narration; chapters call it by its name.
### Formulas, numbers and letters that stand in braces come from the program.

## All chapters

title = A brief introduction to recurrent neural networks
right = Right:
wrong = Wrong:
is-right = right
is-wrong = wrong
one-pass = one pass
passes = { $count } passes
drawn = Drawn: { $path }
heard = Heard: { $path }
interrupted-chapters = Interrupted: the other chapters are not told.
interrupted-training = Interrupted: this is what it has learnt so far.
report = All of it, with figures and sounds, is in { $path }.

## 1. A network without memory

feed-forward = A network without memory
feed-forward-function = A feed-forward network is a function: y = W_hy tanh(W_xh x + b_h) + b_y. Training moves its { $weights } weights until y is what one wants; afterwards they stand still. Here it learns which letter follows which in the word namaskar, in { $steps } steps.
feed-forward-asked = What it says comes after the letter a, which it reads as the second, fourth and seventh:
feed-forward-step = step
feed-forward-fixed = The same input has the same answer, whatever came before: the largest difference is { $difference }. Training has moved the weights by { $learnt } (Euclidean distance), asking by { $asked }.

## 2. One letter against a memory

namaskar = One letter against a memory
namaskar-question = Two networks learn the word namaskar. They read its first seven letters one by one; after each they are asked for the next, so the last question is the eighth letter. The feed-forward network sees the present letter and nothing else. The recurrent network also sees its own previous hidden state:
namaskar-feed-forward = feed-forward
namaskar-recurrent = recurrent
namaskar-parameters = They have { $feed-forward } and { $recurrent } parameters, and each is trained for { $steps } steps of Adam.
namaskar-read = read so far
namaskar-asked = asked
namaskar-right = right
namaskar-score = { $right } of { $questions }
namaskar-loss = loss in nats
namaskar-bound = After the letter a comes m, then s, then r. The three questions look the same to a network that sees only the a: the best it can do is a third for each, so its loss cannot fall below 3/7 ln 3 = { $bound }. The recurrent network has read a different beginning each time.
namaskar-drawing = Loss per letter: a network that sees one letter, and one that remembers

## 3. One neuron, by hand

neuron = One neuron, by hand
neuron-reads = A recurrent network of a single neuron reads the letters n, a, m, a. A letter is a vector with a single 1, so W_xh x_t is the number of W_xh that stands at that place. The neuron adds what it remembers and takes the hyperbolic tangent:
neuron-letter = reads
neuron-sum = sum
neuron-remembers = The second and the fourth letter are both a, and W_xh x_t is { $input } both times. But the neuron remembers something else: h_2 = { $second } after n, h_4 = { $fourth } after n, a, m. The layer of the crate, given the same weights, computes the same states; the largest difference is { $difference }.

## 4. The network, unrolled

unrolling = The network, unrolled
unrolling-state = The memory of the recurrent network is one vector of { $units } numbers between -1 and 1. It starts at h_0 = 0, and every letter turns { $earlier } into { $step }. A column is the state after the letter above it.
unrolling-unit = unit
unrolling-distances = The letter a is read at steps 2, 4 and 7. The distances between those states are |h_2 - h_4| = { $first }, |h_2 - h_7| = { $second }, |h_4 - h_7| = { $third }: the same letter leaves three different memories. In the feed-forward network all three distances are 0.
unrolling-copies = Unrolled, the network is eight copies of one step, side by side. Each copy hands its h_t to the next. All of them use the same W_xh, W_hh and W_hy; there are no others. Seven copies are asked for a letter, and the eighth reads the r that the seventh was asked for.
unrolling-states-drawing = The hidden state after each letter of namaskar
unrolling-copies-drawing = The unrolled network: eight copies that share their weights

## 5. Backpropagation through time

bptt = Backpropagation through time
bptt-chain-rule = The loss L is the sum of the seven losses, and every step uses the same W_hh. The chain rule walks the unrolled copies from the last to the first, with a_t for what is inside the tanh, p_t for the predicted distribution and q_t for the letter that was asked:
bptt-by-element = (element by element)
bptt-adds = step t adds { $contribution } to the gradient of W_hh
bptt-untrained = Before training, with the weights as they were drawn. The column of L_7 is for the loss of the eighth letter alone: how much of that one error arrives at each earlier step.
bptt-reads = reads
bptt-asked = asked
bptt-left = Step 1 adds nothing: it reads h_0 = 0. Of the error in the last letter, { $left } % of the norm at step 7 is left at step 1: every step back multiplies it by W_hh^T and by a slope of tanh, which is at most 1.
bptt-together = The contributions to a shared weight are put together by their sum, which is the gradient of L, or by their mean over the steps. The layer computes the same inside one node of the autograd graph:
bptt-reduction = reduction
bptt-gradient = |gradient of W_hh|
bptt-difference = largest difference from the layer's own
bptt-sum = sum
bptt-mean = mean
bptt-recorded = The layer also records |dL/dh_t| of every step; the largest relative difference from the column above is { $difference }.
bptt-norms-drawing = Gradient norms, step by step, on the word namaskar
bptt-matrices-drawing = Each step's part in the gradient of W_hh, their sum and their mean
copies-apart = What if the contributions are not put together? Here each of the seven copies has its own W_hh, equal at first, and is updated with its own contribution alone; W_xh, W_hy and the biases stay shared. The training is that of the recurrent network: { $steps } steps of Adam. The first copy multiplies h_0 = 0 and never changes; the six others drift apart. The largest distance |W_hh^(s) - W_hh^(t)| between two of them is { $distance }, while their norms are { $norm } on average. Both networks have learnt the word: the loss per letter is { $shared } nats with one W_hh and { $separate } with seven.
copies-later = Now the word begins at a later step: the copies before read nothing, and the state is still 0 when the n comes. Right answers:
copies-begins = the word begins at step
copies-asked = letters asked
copies-shared = right with one W_hh
copies-separate = right with seven W_hh
copies-one-network = With one W_hh, { $shared } of { $questions } answers are right, for every step is the same step. With seven, { $separate } are: each copy has learnt what comes at its own place, and for an eighth step there is none. To share the weights is what makes the copies one network, which can be used at any step and for any length.

## 6. How far a memory reaches

memory = How far a memory reaches
memory-task = A letter, one of { $letters }; then, step by step, letters that mean nothing; then the question: which was the first? An error at the end has to find its way back to the first step, through as many copies of the network as there are steps. A way to shorten it is to give the neuron more of its past: of order 2 it is { $second }, of order 3 it reads { $third } as well. Another is to keep a memory that is added to rather than written anew, as GRU and LSTM do; the gate that keeps it is open at first. Each has { $units } units and learns for { $steps } steps of { $batch } sequences. Right answers in per cent, of { $measured } new sequences; a guess would be right in { $guess }:
memory-between = steps between
memory-order = tanh, order { $order }
memory-why = Why: before anything is learnt, of the error at the end this much is left so many steps earlier, |dL/dh_t| as a part of that at the last step:
memory-earlier = steps earlier
memory-reach = { $neuron }: { $distance }
memory-reaches = The greatest distance at which { $share } % were right: { $first }; { $second }; { $third }; { $fourth }; { $fifth }.
memory-remembered-drawing = How often the first letter is remembered
memory-flow-drawing = What is left of the gradient, step by step back

## 7. Two directions

directions = Two directions
directions-blank = "My phone is broken, so I want to ___ …": buy, repair, sell? What was read so far does not tell; what comes after the blank does. A second layer that reads the sentence from its end has it in its state, and h_t = [h_t forward; h_t backward]. Two networks with as many units each learn to fill the blank, one of them reading forwards only. None has read a sentence in which the phone is broken.
directions-forwards = forwards
directions-both = both
directions-shares = Reading forwards, the network sees the same beginning three times and can do no better than { $forwards } % right; reading in both directions, { $both } % are right.

## 8. A language model that writes

language-model = A language model that writes
language-model-reads = The same question on a longer text: this program's own sources and documents, { $characters } characters of { $kinds } kinds. The network reads letter by letter and is asked for the next one every time. Its neuron is an LSTM with { $units } units. Backpropagation through time is cut after { $window } steps; the state is carried on. The last twentieth of the text is kept for validation. It reads { $share } % of the text once; the guide's training is longer.
language-model-steps = steps of training
language-model-guess = loss of a blind guess
language-model-loss = validation loss
language-model-nats = { $nats } nats per character
language-model-bits = { $nats } nats = { $bits } bits per character
language-model-writes = Now it writes. It is given "{ $prompt }", draws the next character from its own prediction, reads it, and so on for { $length } characters (temperature { $temperature }):
language-model-drawing = Loss while the language model learns

## 9. Translation, and where it looks

translation = Translation, and where it looks
translation-attends = One network reads a sentence word by word, in both directions; another writes the translation, letter by letter. Before each letter it looks at all that was read and weighs it (additive attention): e_ti = v^T tanh(W h_t + U s_i), a_ti = softmax over i. They learn together from { $sentences } sentences of a small grammar, English and Chinese, in { $passes }; the guide's training is longer.
translation-unseen = Asked for { $sentences } sentences that combine words which never stood together in what it learnt from, it writes { $right } exactly as the grammar does: { $share } %.
translation-read = read
translation-written = written
translation-should-be = should be
translation-looked = Nobody told it which word belongs to which. What it attended to says so; a row is a letter that it wrote, a column a word that it read:
translation-drawing = What each letter of a translation attended to

## 10. Speech, from waves to words

speech = Speech, from waves to words
speech-hears = A synthesiser of our own says strings of digits in many voices. Every 10 ms the network hears the strength of the sound in { $bands } bands and says which phoneme it is, or that nothing new has begun. It is told what was said and never when: connectionist temporal classification sums over all the ways in which the phonemes can lie in time. It learns from { $strings } strings in { $passes }; the guide's training is longer.
speech-rate = Of { $strings } strings in voices that it has not heard, it recognises { $right } without a mistake: a word error rate of { $rate } %. It knows how the ten digits are pronounced and searches for words that are made of them.
speech-said = said
speech-heard = heard
speech-example-recording = Said: { $said }; heard: { $heard }
speech-sound = The sound of "{ $said }", its spectrogram, the words and phonemes with their times, and how probable the network holds each phoneme in each frame:
speech-recording = A synthetic voice says: { $said }
speech-drawing = "{ $said }", and what was heard in it

## 11. Pictures, and what is said about them

captioning = Pictures, and what is said about them
captioning-scenes = Scenes of coloured shapes, drawn by this program, with sentences that are true of them. A small convolutional network sees { $regions } regions; a recurrent one tells, word by word, and before each word looks at the regions (Show, Attend and Tell). Both learn from { $scenes } scenes in { $passes }; the guide's training is longer.
captioning-truth = A caption is checked against the scene itself, not against other captions. Of { $scenes } scenes that it has not seen, half of which join colours and shapes that it never saw together, { $share } % of its captions are true.
captioning-attended = Of its words for a colour or a shape, { $share } % were said while looking at what they name.
captioning-told = told
captioning-true = true
captioning-but = but
captioning-ungrammatical = it is no sentence of the grammar
captioning-true-drawing = A true caption, and where it looked for each word
captioning-false-drawing = A caption that is not true, and where it looked for each word
