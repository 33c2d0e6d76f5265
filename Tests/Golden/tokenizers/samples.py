"""Hand-written texts that the tokenizer golden data is made from: languages, programs, emoji, special tokens."""

LANGUAGES = [
    "The quick brown fox jumps over the lazy dog; it didn't stop, and they'll say we've won.",
    "Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis. Où ça ? Là-bas, naïf !",
    "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg. Straße, Maß, Öl, ẞ.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; añoraba a su querido cachorro. ¿Qué?",
    "À noite, vovô Kowalsky vê o ímã cair no pé do pinguim queixoso e vovó põe açúcar no chá.",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig. Zażółć gęślą jaźń.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Nechť již hříšné saxofony ďáblů rozezvučí síň.",
    "Árvíztűrő tükörfúrógép. Jó foxim és don Quijote húszwattos lámpánál ülve egy pár bűvös cipőt készít.",
    "Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul, ığdır, ŞĞÜÖÇ.",
    "Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa. Blåbærsyltetøy på fjället.",
    "Tiếng Việt có nhiều dấu: Đường phố Hà Nội, phở, bún chả, nước mắm.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Τι ώρα είναι; Ἐν ἀρχῇ ἦν ὁ λόγος.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Объём — 5 м³.",
    "Жебракують філософи при ґанку церкви в Гадячі, ще й шатро їхнє п'яне знаємо.",
    "Ђачић жели да џез не замре у Љубљани и Њујорку. Ѓорѓи ќе дојде.",
    "Բել դղյակի ձախ ժամն օֆ ազգությանը ցպահանջ չճշտած վնաս էր եւ փառք։",
    "ქართული ენა: გთხოვთ ახლავე გაიაროთ რეგისტრაცია. ᲥᲐᲠᲗᲣᲚᲘ",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם עֲלֵיכֶם! ״צה״ל״",
    "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت. العدد ١٢٣٤، والسؤال؟ ﷺ",
    "گچپژ: همهٔ افراد بشر آزاد به دنیا می‌آیند، ۱۲۳۴۵۶.",
    "ٹھنڈ میں، ایک قحط زدہ گاؤں سے گذرتے وقت ایک چڑچڑے شخص کو ملا۔",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण। संख्या १२३, क्षत्रिय ज्ञान श्री।",
    "আমার সোনার বাংলা, আমি তোমায় ভালোবাসি। ১২৩৪৫ ক্ষ্ম",
    "தமிழ் மொழி மிகவும் பழமையானது. யாமறிந்த மொழிகளிலே ௧௨௩",
    "తెలుగు భాష చాలా అందమైనది. శ్రీకృష్ణ ౧౨౩",
    "ಕನ್ನಡ ನಾಡು, മലയാളം ഭാഷ, ગુજરાતી ભાષા, ਪੰਜਾਬੀ ਬੋਲੀ, ଓଡ଼ିଆ",
    "සිංහල භාෂාව ශ්‍රී ලංකාව, ພາສາລາວ ໑໒໓, ភាសាខ្មែរ ១២៣",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓ ฯลฯ",
    "မြန်မာဘာသာစကား ၁၂၃။ བོད་ཡིག སྐད་ཡིག ༡༢༣།",
    "አማርኛ ቋንቋ ነው። ሰላም ለዓለም፣ ፩፪፫",
    "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。「你好」，他說：一二三四五。",
    "我能吞下玻璃而不伤身体。２０２４年１月１日，价格是￥１００。",
    "いろはにほへと ちりぬるを。カタカナ、ｶﾀｶﾅ、漢字とひらがな・ー々〆ヶ。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 한글 ㄱㄴㄷ 가각간",
    "Монгол хэл ᠮᠣᠩᠭᠣᠯ, ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ, ᐃᓄᒃᑎᑐᑦ, ⵜⴰⵎⴰⵣⵉⵖⵜ",
    "𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝕕𝕠𝕦𝕓𝕝𝕖 𝒔𝒄𝒓𝒊𝒑𝒕 𝟏𝟐𝟑 𝟘𝟙 𐍈𐌰𐌿𐍄 𐎀𐎁𐎂 𒀀𒁀 𓀀𓂀 𠀀𠮷𪚥 𐐷𐐀 𞤀𞤢",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β ≡ ¬(¬α ∨ β), ∑ᵢ xᵢ² ≤ √π · 10⁻³ → ∞ ± ½ ⅔ ‰",
    "Ⅰ Ⅱ Ⅷ ⅻ ① ② ⑳ ㉛ ㊿ ㈠ ½ ¼ ⅛ ↉ x² m³ H₂O 〇 一 ٣ १ ৫ ๕ ፲ 𑁍 🄂 🯰",
    "“Curly” ‘quotes’ «guillemets» „low“ — dash – en… ellipsis • bullet † dagger § ¶ © ® ™ № ‱",
    "Zalgo: Z̷̢̧̙̱͎͌̀a̴̛͖͛l̸̰͂g̵̞̈o̶̟͝! e\u0301 a\u030a o\u0308 n\u0303 \u0301lone",
]

PROGRAMS = [
    "def f(x, *args, **kw):\n    if x is None:\n        return {k: v for k, v in kw.items()}\n    return x ** 2 % 7\n",
    "class Foo(Bar):\n\t@property\n\tdef name(self) -> str:\n\t\t'''It's a docstring.'''\n\t\treturn f\"{self._name!r:>10}\"\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * 0x1F; /* don't */ }  // ok\n#define MAX(a,b) ((a)>(b)?(a):(b))\n",
    "template <typename T>\nauto add(T&& a, T&& b) -> decltype(a + b) { return std::forward<T>(a) + b; }\n",
    "let xs: Vec<u8> = (0..=255).map(|b| b as u8).collect();\nmatch x { Some(n) if n > 3 => {}, _ => unreachable!(), }\n",
    "func main() {\n\tif err := run(ctx); err != nil {\n\t\tlog.Fatalf(\"can't: %v\", err)\n\t}\n}\n",
    "guard let self, let v = dict[key]?.first else { return nil }\nlet s = #\"raw \\(x)\"#; items.map(\\.name)\n",
    "public static void main(String[] args) throws IOException { System.out.println(\"Hi, \" + args[0]); }\n",
    "const f = async ({ a, b = 1, ...rest }) => `${a ?? b}-${rest?.c}`; x === y || !z && console.log('it\\'s');\n",
    "<div class=\"a b\" id='c'>\n  <p>Hello&nbsp;&amp; bye</p>\n  <!-- comment -->\n</div>\n<br/>",
    "body { margin: 0 auto; color: #ff00AA; }\n@media (max-width: 600px) { .x > a:hover::after { content: \"\\201C\"; } }\n",
    "SELECT a.id, COUNT(*) AS n FROM t1 a LEFT JOIN t2 b ON a.id = b.id WHERE b.x IS NOT NULL GROUP BY 1 HAVING n >= 10;\n",
    "#!/usr/bin/env bash\nset -euo pipefail\nfor f in \"${files[@]}\"; do [[ -f $f ]] && wc -l < \"$f\" | awk '{print $1}'; done\n",
    "{\"a\": [1, 2.5e-10, true, null], \"b\": {\"c\\n\": \"\\u00e9\"}}\n---\nkey:\n  - item: 1\n    other: 'two'\n",
    "\\begin{align}\n  E &= mc^2 \\\\\n  \\int_0^\\infty e^{-x^2}\\,dx &= \\frac{\\sqrt{\\pi}}{2}\n\\end{align}\n",
    "main :: IO ()\nmain = mapM_ (putStrLn . show) $ filter ((== 0) . (`mod` 3)) [1..100] >>= \\x -> [x, x']\n",
    "(defun fact (n)\n  \"It's n!\"\n  (if (<= n 1) 1 (* n (fact (1- n)))))\n'(a . b) `(,x ,@ys) #'car\n",
    "diff --git a/x.c b/x.c\n@@ -1,3 +1,4 @@\n-old line\n+new line\n \tcontext\n\\ No newline at end of file\n",
    "mov eax, [ebx+4*ecx-0x10]\njnz .L2\n.L2:\n\tret ; done\n.section .rodata\n\t.asciz \"%d\\n\"\n",
    "# Title\n\n* item **bold** _it_\n* [link](http://x.y/z?q=1&r=%20#frag)\n\n```python\nprint(1)\n```\n\n> quote\n\n| a | b |\n|--:|:-:|\n",
    "127.0.0.1:8080 2024-02-29T23:59:59.999Z GET /a/b.php?id=10&x[]=1 HTTP/1.1\" 200 1,234,567 -0.5e+3 user@example.com\n",
    "ls -la ~/src && grep -rn 'foo|bar' --include=*.{c,h} . 2>/dev/null; echo $?; x=$((1+2)); y=${z:-default}\r\n",
]

EMOJI = [
    "😀", "😀😃😄", "👍🏽", "👍👍🏻👍🏿", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇫🇷", "🇫🇷🇩🇪🇯🇵", "🇫", "❤️", "❤", "☎️",
    "1️⃣2️⃣#️⃣*️⃣", "🧑🏿‍🤝‍🧑🏻", "👁️‍🗨️", "🫠🫡🫥", "🤷🏾‍♀️", "♀️♂️⚕️", "㊗️㊙️", "🅰️🆎🆑", "⌚⌛⏰", "🀄🃏", "🎅🏼 ho ho",
    "text🙂text", "🙂 🙂  🙂", "\u200d", "\ufe0f", "👩\u200d", "\u200d💻", "🏽", "‼️⁉️", "🐈‍⬛🐻‍❄️", "❤️‍🔥", "🧔‍♂️",
]

SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>", "<file_sep>", "<empty_output>"]
SPECIAL_TEXTS = [
    "{0}", " {0}", "{0} ", "{0}\n", "\n{0}", "a{0}b", "a {0} b", "{0}{0}", "{0} {0}", "1{0}2", "'s{0}'s", "é{0}é", "😀{0}😀",
    "<{0}>", "<|{0}|>", "{0}user\nHello{0}\n", "   {0}   ", "x\t{0}\ty", "{0}\u0301", "\u0000{0}", "{0}{1}", "{0}\n{1}", "{1}a{0}",
]
SPECIAL_NEARLY = [
    "<|im_start", "im_start|>", "<|im_start|", "|im_start|>", "<|im_ start|>", "<|IM_START|>", "< |im_start|>", "<|im_start|>>",
    "<<|im_start|>", "<|im_<|im_start|>start|>", "<|im_start<|im_end|>|>", "<|im|>", "<|endoftext", "endoftext|>", "<||>", "<|",
    "|>", "<|end<|endoftext|>oftext|>", "<|im_start|\u200b>", "<|im\u0301_start|>", "<\uff5cim_start\uff5c>", "<|im_end|><|im_star",
    "<repo_name", "<reponame>>", "<file_sep><file_sep", "<empty output>", "<s>", "</s>", "[INST]", "<|eot_id|>", "<unk>",
]

# The same text composed and decomposed; a tokenizer that normalises would give both the same ids.
COMPOSED = [
    "é", "è", "ñ", "ü", "Å", "ç", "ő", "ř", "ǖ", "ệ", "ử", "ḗ", "ά", "ᾧ", "й", "ё", "Ї", "が", "プ", "한", "값", "क़", "ড়", "אּ", "שׁ",
    "Ω", "K", "Å", "ﬁ", "ſ", "ẛ̣", "café", "naïve", "Zürich", "São Paulo", "Łódź", "Việt Nam", "Ελλάδα ή", "ёжик", "ガギグゲゴ", "대한민국",
    "ﬁnal", "①", "ｶﾞ", "豈", "你好豈", "½", "x²", "Ａｂｃ",
]
