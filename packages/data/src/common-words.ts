/**
 * Words that hardly a paragraph does without, by language: articles, pronouns, prepositions, the commonest verbs. They tell short
 * texts' languages, and text from lists of keywords. Words of Chinese stand for themselves wherever they occur.
 */
const lists = {
  en: 'the of and to a in is it you that he was for on are with as i his they be at this have from or one had by but not what all were we when your can said there use an each which she do how their if will up about out them then many some so these would her him has more my than who its now did no me don could us our was been should isn didn doesn very am here want know m s t d ve ll re something anything never just like good too let had feel think go going why where any only well see',
  fr: 'le la les de des du un une et à est en que qui il elle je tu nous vous ils elles ne pas ce cette ces son sa ses mon ma mes ton ta se sur pour par avec dans au aux mais ou où plus été être avoir ai as a ont fait tout comme si quand suis es sont était c j l d n s m t qu leur lui moi y on très bien rien sans votre notre peux veux faut jamais chose aussi elles avait avons avez vas va aime où quoi toi ici cela ça deux encore quelque',
  de: 'der die das den dem des ein eine einen einem einer und ist in zu von mit nicht auf für ich du er sie es wir ihr sich auch an als wie bei aus nach war hat haben wird sind so aber oder wenn nur noch über um am im mein dein sein mir dir mich dich uns was wer kann habe bin bist dass zum zur vom man doch schon sehr hier keine kein hatte',
  es: 'el la los las de del un una y en que es no se por con para lo le su al como más pero sus me mi te tu yo él ella ha he está son fue ser muy si ya o este esta eso esto todo cuando hay qué quién dónde nos les era tiene tengo puede quiero también sin sobre entre usted nada donde estaba',
  it: 'il lo la i gli le di del della dei delle un una e è in che non per con si mi ti ci vi ha ho hai sono sei come ma da dal dalla al alla nel nella più anche questo questa quello io tu lui lei noi voi loro suo sua mio mia tuo se o dove quando cosa chi era essere fatto molto tutto tutti sono stato su perché',
  pt: 'o a os as de do da dos das um uma e é em que não se por com para no na nos nas ao à eu tu ele ela nós você eles elas me te lhe seu sua meu minha mais mas como foi ser está são muito isso este esta quando onde quem já também até ou sem sobre entre era tem ter estava pode nada tudo',
  nl: 'de het een en van in is dat op te zijn niet met voor aan er ik je hij zij ze we wij jij u die maar om ook als dan bij uit naar nog wel door wat kan heeft heb was had hebben worden wordt mijn jouw zijn haar hem ons hun deze dit geen veel meer over of waar wie zo al hier moet',
  af: 'die n en van in is het nie dat te vir met op aan was by hy sy ek jy ons hulle om uit wat sal kan as ook maar so na deur word hierdie daar baie moet',
  sv: 'och i att det som en ett på är av för med den till inte om har de jag du han hon vi ni man så men var kan från sig sin mig dig mycket när eller hade också vad här skulle detta efter ska min din mitt alla bara över vid',
  da: 'og i at det er en et på som af for med den til ikke der har de jeg du han hun vi man så men var kan fra sig sin mig dig meget når eller havde også hvad her skulle dette efter skal min din mit alle kun over ved blev hvor noget',
  no: 'og i at det er en et på som av for med den til ikke har de jeg du han hun vi man så men var kan fra seg sin meg deg mye når eller hadde også hva her skulle dette etter skal min din mitt alle bare over ved ble hvor noe fra',
  fi: 'ja on ei se että hän oli ovat mutta en minä sinä me te he tämä tuo mitä kun jos niin kuin myös olla ole minun sinun hänen sen joka vain kuka missä nyt olen olet oli mukaan',
  pl: 'i w na z się nie to jest do że o jak ale po co za od czy tak już tego ja ty on ona my wy oni mnie ciebie jego jej być był była są mam ma może tylko też który która dla przez przy jeszcze bardzo gdy',
  cs: 'a v na je se že to s z do o i jako ale si za po pro by co tak jsem jsi byl byla bylo jsou má není když nebo už jen který která které já ty on ona my vy oni můj tvůj jeho její mi ti být od velmi kde',
  ro: 'și în de la a cu pe un o este nu că să din pentru mai care ce sunt au am ai se ne vă el ea noi voi ei lui sa său mea ta dar sau dacă când unde cine fost foarte toate prin după îmi îi al',
  hu: 'a az és egy hogy nem is van volt meg ez de már csak ha mint én te ő mi ti ők ezt azt még el ki be le fel kell lehet vagy minden nagyon itt ott aki ami mert lesz voltak után nekem',
  tr: 've bir bu da de için ile çok ne o ben sen biz siz onlar var yok değil mi mı daha gibi kadar ama olarak olan oldu en her şey sonra benim senin onun ki ya hiç nasıl neden',
  id: 'yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena ada mereka lebih kami kita dia anda oleh atau bisa telah sudah adalah seorang apa sebagai harus aku kamu bukan',
  vi: 'và của là có không được cho một những với trong các người tôi anh này đã để khi như từ đến về cũng ra bạn ở thì đó nhiều vì nó sẽ rất',
  ru: 'и в не на что он я с как это по но из у за то от так все ты мы вы она они его её мне меня был была было были бы же к о для уже или только ещё если когда где кто очень нет да есть мой',
  uk: 'і в не на що він я з як це по але із у за то від так все ти ми ви вона вони його її мені мене був була було були б же до про для вже або тільки ще якщо коли де хто дуже немає є та',
  bg: 'и в не на че той аз с как това по но от у за то е са да се си ти ние вие тя те му ми ме беше бях би към или само още ако когато къде кой много няма има до при',
  zh: '的 是 在 了 不 和 有 我 他 她 你 这 這 那 为 為 也 就 都 而 与 與 到 于 於 及 以 对 對 从 從 之 其 上 中 个 個 们 們 会 會 要 说 說 地 得 着 著 把 被 让 讓 但 因 所',
} as const;

/** The words of each language, in lower case. */
export const COMMON_WORDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(lists).map(([language, words]) => [language, new Set(words.split(' '))]),
);
