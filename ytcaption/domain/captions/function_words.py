"""Function words that a line should not end with, or that it may well begin with, by language.

Closed classes only (articles, determiners, prepositions, conjunctions, pronouns): they are few and
stable, and broadcasters' line-breaking rules name them. Other languages are broken by punctuation
and pauses.
"""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


CLINGS_TO_NEXT: dict[str, frozenset[str]] = {
    "en": _set(
        "a an the my your his her its our their this that these those some any no every each of "
        "in on at by for from to with without into onto over under about after before between "
        "through against during than as and or but nor if because while is are was were be been "
        "am will would can could shall should may might must have has had do does did not very "
        "so too mr mrs ms dr i we he she they who which"
    ),
    "de": _set(
        "der die das den dem des ein eine einen einem einer eines kein keine keinen mein meine "
        "dein seine sein ihr ihre unser unsere dieser diese dieses in im an am auf aus bei beim "
        "mit nach seit von vom zu zum zur für durch gegen ohne um über unter vor hinter "
        "zwischen und oder aber denn dass weil wenn als ob ich wir er sie es herr frau dr"
    ),
    "fr": _set(
        "le la les un une des du de au aux mon ma mes ton ta tes son sa ses notre nos votre vos "
        "leur leurs ce cet cette ces à en dans sur sous par pour avec sans chez vers entre et "
        "ou mais donc car si que qui ne pas je tu il elle on nous vous ils elles"
    ),
    "es": _set(
        "el la los las un una unos unas de del a al en con sin por para sobre entre hacia hasta "
        "desde mi tu su mis tus sus este esta estos estas ese esa y e o u pero que si no se lo "
        "le me te nos muy"
    ),
    "pt": _set(
        "o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela com sem para "
        "ao à aos às sobre entre até meu minha seu sua este esta esse essa e ou mas que se não "
        "muito"
    ),
    "it": _set(
        "il lo la i gli le un uno una di del dello della dei degli delle a al allo alla ai agli "
        "alle da dal dalla in nel nella nei con su sul sulla per tra fra mio mia suo sua questo "
        "questa e o ma che se non si"
    ),
    "nl": _set(
        "de het een van in op aan bij met voor door over onder naar uit om te tot tegen zonder "
        "tussen mijn jouw zijn haar ons onze hun dit dat deze die en of maar want dat als ik "
        "wij we hij zij ze niet"
    ),
    "ru": _set(
        "в во на с со к ко у о об от до из за по под над при для без через между и а но или что "
        "чтобы если не ни мой моя твой его её их это"
    ),
}
"""Lower case, without punctuation: no line or caption should end with one of these."""

OPENS_CLAUSE: dict[str, frozenset[str]] = {
    "en": _set(
        "and but or nor so because although though while when where which who whom whose that "
        "if unless until since before after as than whether"
    ),
    "de": _set(
        "und aber oder denn sondern weil dass obwohl während wenn als ob bevor nachdem damit wo wie"
    ),
    "fr": _set("et mais ou donc car que qui dont où quand comme si lorsque puisque"),
    "es": _set("y e pero o u porque que quien donde cuando como si aunque mientras"),
    "pt": _set("e mas ou porque que quem onde quando como se embora enquanto"),
    "it": _set("e ma o perché che chi dove quando come se mentre anche"),
    "nl": _set("en maar of want omdat dat die wie waar wanneer als hoewel terwijl"),
    "ru": _set("и а но или что чтобы который которая где когда как если потому"),
}
"""Lower case: a break before one of these reads well."""

ABBREVIATIONS = _set(
    "mr. mrs. ms. dr. prof. st. sr. jr. vs. etc. e.g. i.e. no. inc. ltd. co. fig. vol. "
    "approx. hr. fr. bzw. ca. z.b. d.h. u.a. usw. nr. str. m. mme. mlle. sra. srta. dott. "
    "sig. ing. jan. feb. aug. sept. oct. nov. dec."
)
"""Lower case, with the full stop, which ends no sentence."""
