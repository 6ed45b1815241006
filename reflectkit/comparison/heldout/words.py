"""The word lists from which problems are made."""

# ruff: noqa: SIM905 - a string split at spaces is the readable form of a long list of words

from __future__ import annotations

NAMES = "Tom Ana Ben Mia Sam Lily Max Eva Leo Nina Paul Rosa Jack Emma Omar Zoe".split()
THINGS = "apples books coins pens cards cookies eggs shells stamps balls cakes toys".split()
BOXES = "boxes bags shelves rows packs baskets plates jars".split()

OBJECTS = "coin key ring ball marble stone button pearl pen bean".split()
HOLDERS = "cup box bag glass bowl mug jar basket pot bucket".split()
PLACES = {
    "on": "bed table shelf chair desk sofa floor bench".split(),
    "in": "kitchen garden bedroom garage office bathroom hall attic".split(),
}

SPELLED = """
accommodate address airplane airport alabama algebra alphabet anchor apple arithmetic assessment
autumn avenue balance balloon banana beach berlin bicycle biology blanket blueberry bookkeeper
bottle breakfast bridge broccoli bubble buffalo butter butterfly cabbage california candle carpet
carrot castle cattle ceiling chapter cheese chemistry cherry chocolate cinema circle coffee
colorado committee common computer concert copper cotton crocodile cucumber curtain dancer
december desert dictionary different difficult dinner doctor dollar dolphin dragon drawer drummer
eagle effect effort elephant embarrass engine evening excellent fabric farmer february fellow
finger flower follow forest function funny galaxy garlic gentle geography geometry giant giggle
giraffe glacier golden gorilla grammar grape guitar hammer happiness happy harbor helicopter
hermit hippopotamus history hobby hollow honest horror hunter hurry immediate insect internet
island jacket january jelly jungle kangaroo ketchup kettle keyboard kitten koala ladder language
lantern lawyer legend lemon leopard lettuce library lion lisbon little lizard lobby london luggage
madrid magnet mammal market mattress meadow mellow melody melon message middle midnight mineral
mirror missile mississippi moment monitor monkey morning mosquito mountain muddy muffin museum
mushroom mystery napkin necessary nectar needle nephew network noodles notebook nurse nutmeg
occasion occurrence ocean offer onion opposite orange orchestra oyster paddle painter palace
pancake panda paragraph parallel paris parrot passenger pastry pattern peach pear pebble pencil
penguin penny pepper physics piano picture pillow pilot planet plastic pocket possession possible
potato powder prince printer program puddle pumpkin puppet puzzle quarter rabbit railway rainbow
raspberry rattle recipe rhinoceros rhythm ribbon river rocket rubber saddle sailor sandwich
saturday saucer science scissors season sentence settle shadow shallow shuttle silly silver simmer
singer slippery smaller soccer socket soldier sorry spell spider spinach sponge spring squirrel
station statistics strawberry stream street stubborn student stuff submarine success sudden sugar
summer summit sunday sunset supper supply support surround swimming symbol teacher temple
tennessee terrible terrific theater thrill thunder ticket tiger timber tomato topaz traffic
treasure triangle trumpet tulip tunnel turtle umbrella valley vanilla variable vessel vienna
village vinegar violet violin volcano voyage wallet walnut wardrobe weather whistle willow window
winter wisdom witness wizard woolly worry writer yellow zebra zipper
""".split()

STARTS = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl sp st str t th tr v w x y z"
MIDDLES = "a e i o u ai ea ee oo ou ie"
ENDS = "b ck d ff g l ll m mm n nn p pp r rr s ss t tt x zz st nd nt rt  "

DIRECT = "plus minus times"
