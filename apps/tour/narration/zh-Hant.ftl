### 導覽的正體中文旁白。
###
### 每則訊息是旁白的一句話、一段話或一個詞，各章以名稱取用。
### 大括號裡的公式、數字與字母由程式提供。

## 各章共用

title = 循環神經網路簡介
right = 答對的例子：
wrong = 答錯的例子：
is-right = 對
is-wrong = 錯
one-pass = 1 遍
passes = { $count } 遍
drawn = 圖檔：{ $path }
heard = 聲音檔：{ $path }
interrupted-chapters = 已中斷：其餘各章略過不講。
interrupted-training = 訓練已中斷：以下是目前為止學到的結果。
report = 完整內容連同圖與聲音，都在 { $path }。

## 1. 沒有記憶的網路

feed-forward = 沒有記憶的網路
feed-forward-function = 前饋網路是一個函數：y = W_hy tanh(W_xh x + b_h) + b_y。訓練會調整它的 { $weights } 個權重，直到 y 是我們要的結果；訓練結束後，權重便固定不動。這裡用 { $steps } 步訓練，讓它學會 namaskar 這個詞裡哪個字母後面接哪個字母。
feed-forward-asked = 字母 a 分別在第 2、4、7 步讀入。網路認為 a 後面接各字母的機率是：
feed-forward-step = 步驟
feed-forward-fixed = 不論先前讀過什麼，相同的輸入總是得到相同的答案：最大的差異是 { $difference }。訓練使權重移動了 { $learnt }（歐氏距離），發問則使權重移動了 { $asked }。

## 2. 只看一個字母，還是擁有記憶

namaskar = 只看一個字母，還是擁有記憶
namaskar-question = 兩個網路學習 namaskar 這個詞。它們逐一讀入前七個字母，每讀一個就要回答下一個字母是什麼，所以最後一題問的是第八個字母。前饋網路只看得到目前的字母；循環神經網路還看得到自己前一步的隱藏狀態：
namaskar-feed-forward = 前饋網路
namaskar-recurrent = 循環網路
namaskar-parameters = 兩者分別有 { $feed-forward } 個和 { $recurrent } 個參數，各以 Adam 訓練 { $steps } 步。
namaskar-read = 已讀入
namaskar-asked = 正解
namaskar-right = 答對
namaskar-score = { $questions } 題中 { $right } 題
namaskar-loss = 損失（nats）
namaskar-bound = 字母 a 後面先是接 m，再來接 s，最後接 r。對只看得到 a 的網路來說，這三題一模一樣：它最多只能給每個答案三分之一的機率，所以損失不可能低於 3/7 ln 3 = { $bound }。循環神經網路則每次都讀過不同的開頭。
namaskar-drawing = 每個字母的損失：只看一個字母的網路，以及有記憶的網路

## 3. 親手計算一個神經元

neuron = 親手計算一個神經元
neuron-reads = 只有一個神經元的循環神經網路讀入字母 n、a、m、a。每個字母是一個只有一處為 1、其餘為 0 的向量，所以 W_xh x_t 就是 W_xh 在該位置上的數。神經元再加上它記得的東西，然後取雙曲正切：
neuron-letter = 讀入
neuron-sum = 總和
neuron-remembers = 第二個和第四個字母都是 a，兩次的 W_xh x_t 都是 { $input }。但是神經元記得的東西不同：讀過 n 之後，h_2 = { $second }；讀過 n、a、m 之後，h_4 = { $fourth }。把同樣的權重交給本套件的循環層，算出來的狀態也相同；最大的差異是 { $difference }。

## 4. 展開網路

unrolling = 展開網路
unrolling-state = 循環神經網路的記憶是一個由 { $units } 個介於 -1 與 1 之間的數組成的向量。它從 h_0 = 0 開始，每讀一個字母，就由 { $earlier } 得到 { $step }。每一欄是讀完上方字母之後的狀態。
unrolling-unit = 單元
unrolling-distances = 字母 a 在第 2、4、7 步讀入。這幾個狀態之間的距離是 |h_2 - h_4| = { $first }、|h_2 - h_7| = { $second }、|h_4 - h_7| = { $third }：同一個字母留下了三種不同的記憶。在前饋網路裡，這三個距離都是 0。
unrolling-copies = 展開之後，網路就是同一步的八份副本，並排在一起。每份副本把自己的 h_t 交給下一份。所有副本使用同一組 W_xh、W_hh 和 W_hy，此外沒有別的權重。前七份副本各要回答一個字母；第八份讀入的 r，正是第七份要回答的字母。
unrolling-states-drawing = 讀完 namaskar 的每個字母之後的隱藏狀態
unrolling-copies-drawing = 展開的網路：八份共用權重的副本

## 5. 時間反向傳播

bptt = 時間反向傳播
bptt-chain-rule = 損失 L 是七個損失的總和，而每一步都使用同一個 W_hh。連鎖律從最後一份副本往回走到第一份；a_t 是 tanh 裡面的值，p_t 是預測的分布，q_t 是正確的字母：
bptt-by-element = （逐元素相乘）
bptt-adds = 第 t 步為 W_hh 的梯度貢獻 { $contribution }
bptt-untrained = 以下是訓練之前、權重剛以亂數產生時的情形。L_7 那一欄只看第八個字母的損失：這一個誤差有多少傳回先前的每一步。
bptt-reads = 讀入
bptt-asked = 正解
bptt-left = 第 1 步沒有貢獻，因為它讀到的是 h_0 = 0。就最後一個字母的誤差而言，第 7 步的範數傳到第 1 步時只剩 { $left } %：每往回一步，就要乘上 W_hh^T，再乘上 tanh 的斜率，而這個斜率最大是 1。
bptt-together = 各步對共用權重的貢獻可以相加，所得就是 L 的梯度；也可以對各步取平均。本套件的循環層在自動微分圖的單一節點裡算出同樣的結果：
bptt-reduction = 合併方式
bptt-gradient = |W_hh 的梯度|
bptt-difference = 與循環層所得的最大差異
bptt-sum = 總和
bptt-mean = 平均
bptt-recorded = 循環層也會記下每一步的 |dL/dh_t|；與上面那一欄相比，最大的相對差異是 { $difference }。
bptt-norms-drawing = namaskar 這個詞各步的梯度範數
bptt-matrices-drawing = 各步對 W_hh 梯度的貢獻，以及它們的總和與平均
copies-apart = 如果不把各步的貢獻合併，會怎麼樣？這裡讓七份副本各有自己的 W_hh，一開始完全相同，之後每份只用自己那一步的貢獻來更新；W_xh、W_hy 與偏值仍然共用。訓練方式與循環神經網路相同：以 Adam 訓練 { $steps } 步。第一份副本乘的是 h_0 = 0，所以從不改變；其餘六份則漸行漸遠。其中兩份之間的最大距離 |W_hh^(s) - W_hh^(t)| 是 { $distance }，而它們的範數平均是 { $norm }。兩個網路都學會了這個詞：每個字母的損失，只有一個 W_hh 時是 { $shared } nats，有七個時是 { $separate } nats。
copies-later = 現在讓這個詞從後面的某一步才開始：前面的副本什麼也不讀，n 到來時狀態仍然是 0。答對的題數如下：
copies-begins = 從第幾步開始
copies-asked = 題數
copies-shared = 一個 W_hh 時答對
copies-separate = 七個 W_hh 時答對
copies-one-network = 只有一個 W_hh 時，{ $questions } 題中答對 { $shared } 題，因為每一步都是同樣的一步。有七個時只答對 { $separate } 題：每份副本只學會自己那個位置該接什麼，而且第八步根本沒有副本可用。共用權重，才使這些副本成為同一個網路，可以用在任何一步、任何長度。

## 6. 記憶能延伸多遠

memory = 記憶能延伸多遠
memory-task = 先是一個字母，共有 { $letters } 種可能；接著一步一步讀入沒有意義的字母；最後發問：第一個字母是什麼？最後的誤差必須一路傳回第一步，有多少步，就要穿過多少份網路的副本。縮短這條路的一種方法，是讓神經元看到更多的過去：2 階的神經元是 { $second }，3 階的還會讀入 { $third }。另一種方法是像 GRU 和 LSTM 那樣，保留一份只往上累加、而不是每次重寫的記憶；負責保留記憶的閘一開始是打開的。每種神經元各有 { $units } 個單元，訓練 { $steps } 步，每步 { $batch } 個序列。以下是 { $measured } 個新序列的答對率，以百分比表示；亂猜的答對率是 { $guess }：
memory-between = 相隔步數
memory-order = tanh，{ $order } 階
memory-why = 原因在於：還沒開始學習時，最後的誤差往回傳若干步之後，剩下的部分如下。數值是 |dL/dh_t| 與最後一步的值之比：
memory-earlier = 往回步數
memory-reach = { $neuron }：{ $distance }
memory-reaches = 答對率至少 { $share } % 的最遠距離：{ $first }；{ $second }；{ $third }；{ $fourth }；{ $fifth }。
memory-remembered-drawing = 記得第一個字母的比率
memory-flow-drawing = 一步步往回傳時，梯度還剩下多少

## 7. 兩個方向

directions = 兩個方向
directions-blank = 「My phone is broken, so I want to ___ …」（我的手機壞了，所以我想……）：空格裡是 buy（買）、repair（修理）還是 sell（賣）？光看前面讀過的部分並不知道，空格後面的內容才會透露答案。另一層從句尾往回讀，它的狀態裡就有這項資訊，於是 h_t = [順向的 h_t; 逆向的 h_t]。兩個單元數相同的網路學習填空，其中一個只能順向讀。兩者都沒有讀過手機壞掉的句子。
directions-forwards = 順向
directions-both = 雙向
directions-shares = 只能順向讀的網路三次看到的開頭都一樣，答對率不可能超過 { $forwards } %；雙向讀的網路答對了 { $both } %。

## 8. 會寫作的語言模型

language-model = 會寫作的語言模型
language-model-reads = 同樣的問題，換成更長的文字：本程式自己的原始碼與文件，共 { $characters } 個字元、{ $kinds } 種。網路逐字元讀入，每次都要回答下一個字元是什麼。它的神經元是 { $units } 個單元的 LSTM。時間反向傳播每 { $window } 步截斷一次，狀態則繼續傳下去。最後二十分之一的文字留作驗證。這裡只把全文的 { $share } % 讀一遍；使用指南裡的訓練更久。
language-model-steps = 訓練步數
language-model-guess = 亂猜的損失
language-model-loss = 驗證損失
language-model-nats = 每字元 { $nats } nats
language-model-bits = 每字元 { $nats } nats = { $bits } 位元
language-model-writes = 現在輪到它寫。給它「{ $prompt }」當開頭，它依自己的預測抽出下一個字元，讀進去，再抽下一個，如此寫出 { $length } 個字元（溫度 { $temperature }）：
language-model-drawing = 語言模型學習時的損失

## 9. 機器翻譯，以及它看著哪裡

translation = 機器翻譯，以及它看著哪裡
translation-attends = 一個網路以兩個方向逐詞讀入句子，另一個網路逐字寫出譯文。寫每個字之前，它會先看過所有讀入的內容，並分別給予權重（加法式注意力）：e_ti = v^T tanh(W h_t + U s_i)，a_ti 是對 i 取 softmax。兩個網路一起學習 { $sentences } 個由小型文法產生的英文與中文句子，共讀 { $passes }；使用指南裡的訓練更久。
translation-unseen = 再請它翻譯 { $sentences } 個句子，其中的詞彙組合從未在訓練時一起出現過；它有 { $right } 句寫得與文法產生的完全相同，占 { $share } %。
translation-read = 原文
translation-written = 譯文
translation-should-be = 應為
translation-looked = 沒有人告訴它哪個詞對應哪個詞，但是從它注意的地方就看得出來；每一列是它寫出的一個字，每一欄是它讀入的一個詞：
translation-drawing = 譯文的每個字注意到的地方

## 10. 語音辨識：從聲波到文字

speech = 語音辨識：從聲波到文字
speech-hears = 我們自製的語音合成器用許多種嗓音唸出數字串。網路每 10 毫秒聽到聲音在 { $bands } 個頻帶裡的強度，並回答那是哪個音素，或是還沒有新的音素開始。訓練時只告訴它說了什麼，從不告訴它是什麼時候說的：連結時序分類（CTC）把音素在時間上所有可能的排列方式都加總起來。它學習 { $strings } 個數字串，共聽 { $passes }；使用指南裡的訓練更久。
speech-rate = 在 { $strings } 個由它沒聽過的嗓音唸出的數字串中，它完全辨識正確的有 { $right } 個，詞錯誤率是 { $rate } %。它知道十個數字怎麼發音，並搜尋由這些發音組成的詞。
speech-said = 說出
speech-heard = 聽到
speech-example-recording = 說出：{ $said }；聽到：{ $heard }
speech-sound = 以下是「{ $said }」的聲音、頻譜圖、標上時間的詞與音素，以及網路認為每個音框是各個音素的機率：
speech-recording = 合成的聲音唸出：{ $said }
speech-drawing = 「{ $said }」，以及從中聽到的內容

## 11. 圖像描述：看圖說話

captioning = 圖像描述：看圖說話
captioning-scenes = 本程式畫出由彩色圖形構成的場景，並附上符合場景的句子。一個小型的卷積網路看 { $regions } 個區域；一個循環神經網路逐詞說出內容，說每個詞之前先看過這些區域（Show, Attend and Tell）。兩者一起學習 { $scenes } 個場景，共看 { $passes }；使用指南裡的訓練更久。
captioning-truth = 檢查一句描述時，是拿場景本身來對照，而不是與其他描述比較。在它沒看過的 { $scenes } 個場景中，有一半的顏色與形狀組合從未一起出現過；它的描述有 { $share } % 符合場景。
captioning-attended = 在它用來描述顏色或形狀的詞中，有 { $share } % 是正看著所指的圖形說出來的。
captioning-told = 描述
captioning-true = 正解
captioning-but = 但是
captioning-ungrammatical = 這不是文法裡的句子
captioning-true-drawing = 一句符合場景的描述，以及說每個詞時所看的地方
captioning-false-drawing = 一句不符合場景的描述，以及說每個詞時所看的地方
