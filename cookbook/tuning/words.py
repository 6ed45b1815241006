"""The word lists from which problems are made."""

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
strawberry raspberry blueberry banana orange apple pear peach cherry melon lemon grape tomato
potato carrot onion pepper garlic cabbage lettuce spinach cucumber pumpkin mushroom broccoli
elephant giraffe monkey tiger lion rabbit squirrel kangaroo dolphin penguin parrot butterfly
mosquito spider lizard turtle crocodile hippopotamus rhinoceros zebra panda koala leopard
mississippi tennessee alabama colorado california london paris berlin madrid lisbon vienna
computer keyboard monitor printer internet network program language library function variable
letter number reason answer question sentence paragraph chapter dictionary alphabet grammar
mountain river valley forest desert island ocean beach harbor bridge tunnel street avenue
breakfast dinner supper sandwich butter cheese chocolate coffee sugar vinegar noodles pancake
morning evening midnight summer winter autumn spring january february december saturday sunday
teacher student doctor nurse lawyer farmer sailor soldier pilot painter singer dancer writer
window kitchen bedroom bathroom ceiling carpet curtain pillow blanket mattress wardrobe drawer
bicycle airplane helicopter submarine balloon railway station airport passenger luggage ticket
guitar violin trumpet piano drummer orchestra melody rhythm concert theater cinema museum
science physics chemistry biology history geography geometry algebra arithmetic statistics
happiness success committee assessment possession necessary accommodate embarrass occurrence
bookkeeper address balance bottle bubble buffalo button cattle coffee common correct different
different difficult dollar effect effort excellent follow funny giggle gorilla hammer happy
hobby hollow horror hurry immediate jelly kettle kitten ladder little lobby mammal message
middle mirror missile muffin muddy needle nutmeg occasion offer office opposite paddle parallel
pattern pebble penny possible puddle puppet puzzle rabbit rattle ribbon rubber saddle scissors
settle shallow shuttle silly simmer slippery smaller soccer sorry spell stubborn stuff sudden
summit supply support surround swimming terrible terrific thrill traffic tunnel umbrella valley
vanilla village wallet willow witness woolly worry yellow zipper anchor basket candle castle
circle copper cotton desert dragon eagle engine fabric fellow finger flower galaxy gentle
giant glacier golden hermit honest hunter insect jacket jungle ketchup lantern legend magnet
marble market meadow mellow mineral moment mystery napkin nectar nephew notebook oyster palace
pastry pencil picture planet plastic pocket powder prince puzzle quarter rainbow recipe rocket
saucer season shadow silver socket sponge stream sunset symbol temple thunder timber topaz
treasure triangle tulip vessel violet volcano voyage walnut weather whistle wisdom wizard
""".split()

STARTS = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl sp st str t th tr v w x y z"
MIDDLES = "a e i o u ai ea ee oo ou ie"
ENDS = "b ck d ff g l ll m mm n nn p pp r rr s ss t tt x zz st nd nt rt  "

DIRECT = "plus minus times"
