"""Texts of two or three topics each, for `benchmarks.semantic`. Nothing but the meaning shows where a topic ends."""

from __future__ import annotations

__all__ = ["TEXTS", "TUNING"]

TEXTS: dict[str, tuple[str, ...]] = {
    "bread, tax": (
        "Mix the flour with water and let it rest for half an hour. Then add the salt and the starter. Fold the dough "
        "four times over the next two hours. It should feel smooth and full of air. Bake it in a hot pot with the lid "
        "on for twenty minutes. Take the lid off to brown the crust.",
        "For your tax return you need the certificate from your employer. Interest from savings goes on a separate "
        "form. Costs of commuting can be deducted for each working day. Keep the receipts for at least two years. If "
        "you file late, the office may charge a fee.",
    ),
    "Lisbon, knee, guitar": (
        "In Lisbon the yellow tram climbs from Baixa up to Graça. Go early, since it is crowded by ten. The viewpoint "
        "at the top looks over the river and the old roofs. A ticket for the day also covers the ferries.",
        "Your knee hurts most after long runs downhill. That points to the tendon below the kneecap. Rest it for a "
        "week and cool it in the evening. Slow squats on a slope strengthen it again. See a doctor if it swells.",
        "A guitar goes out of tune when the strings are new. Stretch each string gently and tune it again. Changes in "
        "humidity bend the neck a little. Keep the instrument in its case with a small humidifier.",
    ),
    "coffee, tea": (
        "Grind the coffee just before brewing. A medium grind suits a filter. Use water just below the boil, about "
        "ninety-four degrees. Pour in circles and let the grounds bloom first. A bitter cup means that the grind was "
        "too fine.",
        "Green tea wants cooler water than black tea. Seventy degrees keep the leaves sweet. Two minutes are enough "
        "for the first infusion. The same leaves give two or three more pots. Jasmine tea is scented with fresh "
        "blossoms at night.",
    ),
    "database, garden, train": (
        "An index speeds up queries that filter on its first column. Each write has to update it, so do not create "
        "one for every column. Look at the query plan before you decide. A scan of a small table is fine. Vacuum the "
        "database after large deletions.",
        "Plant the tomatoes when the nights are warm. They want sun for most of the day. Water the roots and keep the "
        "leaves dry. Pinch out the side shoots every week. Basil grows well beside them.",
        "The night train leaves Vienna at ten in the evening. It reaches Rome after breakfast. A berth in a couchette "
        "costs about sixty euros. Bicycles need a reservation of their own.",
    ),
    "volcano, election": (
        "Magma rises because it is lighter than the rock around it. Gas that is dissolved in it forms bubbles near the "
        "surface. If the gas cannot escape, the eruption is explosive. Ash can travel thousands of kilometres. Runny "
        "lava builds flat shields, as in Hawaii. Sticky lava builds steep cones.",
        "The parliament has five hundred seats. Half of them go to the districts. The others are filled from party "
        "lists. A party needs five percent of the votes to enter. Coalitions are the rule, since no party has won a "
        "majority for decades.",
    ),
    "dog, mortgage": (
        "A puppy should meet many people in its first months. Keep each meeting short and calm. Reward it with food "
        "when it looks at you. Pulling on the leash stops when you stop walking. Most dogs learn to sit within a day. "
        "Chewing is normal until the teeth have changed.",
        "The bank offers a fixed rate for ten years. Your monthly payment would be twelve hundred euros. A larger "
        "deposit lowers the interest. After ten years you can repay the loan without a penalty. Compare the total cost "
        "and not only the rate.",
    ),
    "Python, sleep, chess": (
        "A generator returns its values one at a time. The function pauses at each yield. Nothing is computed before "
        "it is asked for. So it can read a file that does not fit into memory. Use a list if you need the length.",
        "Teenagers need about nine hours of sleep. Bright screens in the evening delay the hormone melatonin. A cool "
        "and dark bedroom helps. Naps should end before three in the afternoon. Caffeine stays in the blood for many "
        "hours.",
        "In the opening, bring out the knights and bishops. Castle early to protect the king. Do not move the same "
        "piece twice without need. A rook belongs on an open file. Trade pieces when you are ahead.",
    ),
    "whale, piano": (
        "The blue whale is the largest animal that has ever lived. It feeds on krill, which it filters from the sea. A "
        "calf drinks hundreds of litres of milk a day. Its song carries across whole oceans. Whaling nearly wiped the "
        "species out.",
        "Practise the left hand of the sonata alone. Play it slowly with a metronome. Mark the fingering with a "
        "pencil. The pedal changes with each new harmony. Record yourself and listen for uneven notes. Then put both "
        "hands together.",
    ),
    "visa, vaccine, weather": (
        "You can apply for the visa online. The consulate asks for a passport that is valid for six months. Upload a "
        "photo with a white background. Processing takes about three weeks.",
        "A booster against tetanus is due every ten years. Hepatitis A is advised for the region. The second dose "
        "follows after six months. Ask about malaria tablets as well. Mild fever after the injection is normal.",
        "The rainy season lasts from June to September. Showers are short and heavy. Mornings are mostly sunny. In "
        "January the nights are cold in the hills. November has the clearest skies.",
    ),
    "phone, marathon": (
        "The battery of the phone drains because the screen is too bright. Turn off background refresh for apps that "
        "you rarely use. Update the system, since an old version has a known bug. If the battery is below eighty "
        "percent of its capacity, replace it. A shop does that in an hour.",
        "Build up your weekly distance slowly before the marathon. One long run each Sunday is the core of the plan. "
        "Intervals on the track make you faster. Eat carbohydrates during the last three days. Start the race slower "
        "than you feel. New shoes belong in training and not in the race.",
    ),
    "wine, bees, bridge": (
        "Red wine gets its colour from the skins of the grapes. They ferment together for one or two weeks. Oak "
        "barrels add vanilla and smoke. Tannins soften while the bottle ages.",
        "A hive has one queen and thousands of workers. The workers dance to tell where flowers are. In summer a "
        "worker lives for six weeks. Drones are driven out in autumn. The cluster keeps itself warm all winter.",
        "A suspension bridge hangs its deck from two cables. The towers carry the weight down to the rock. Wind is the "
        "greatest danger for a light deck. Engineers test a model in a tunnel. The anchors hold the pull of the "
        "cables.",
    ),
    "contract, contract": (
        "The lease runs for two years. The tenant pays the rent on the first of each month. Pets are allowed with the "
        "consent of the landlord. Repairs up to a hundred euros are paid by the tenant. The deposit is three months' "
        "rent.",
        "The employee works forty hours a week. Overtime is paid or taken as leave. The probation period is six "
        "months. Each side may give notice of four weeks. Holidays are thirty days a year. Remote work is possible on "
        "two days a week.",
    ),
}
"""Twelve texts, by which the strategy is measured."""

TUNING: dict[str, tuple[str, ...]] = {
    "moon, cheese": (
        "The Moon always shows us the same side. It turns once while it circles the Earth. Tides follow its pull on "
        "the sea. An eclipse needs all three bodies in a line. Astronauts left mirrors on its surface.",
        "Cheddar is pressed for a day and then ripens in cloth. Blue cheese is pierced so that the mould gets air. A "
        "brie is ripe when its middle is soft. Wrap cheese in paper and not in plastic. Serve it at room temperature. "
        "Hard cheese keeps for weeks.",
    ),
    "router, violin, insurance": (
        "Restart the router and wait for the green light. Put it away from the microwave oven. The five gigahertz band "
        "is faster but reaches less far. A mesh covers a large house. Change the default password.",
        "The violin bow needs rosin before you play. Hold it loosely between thumb and fingers. Long slow strokes make "
        "a full tone. Vibrato comes from the wrist.",
        "The policy covers water damage from burst pipes. Floods need an extra clause. Report a loss within a week. "
        "Photos help the assessor. The excess is three hundred euros per case.",
    ),
    "Rome, Carthage": (
        "Rome began as a village on the Tiber. Its kings were driven out after two centuries. The senate then led the "
        "republic. Every man of property served in the legions. Roads tied the new provinces to the city.",
        "Carthage lived by its harbour and its ships. Merchants sailed as far as Britain for tin. Its armies were "
        "hired from many peoples. Hannibal led elephants across the Alps. In the end the city was burnt.",
    ),
    "budget, yoga": (
        "Write down every expense for a month. Rent and food come first. Put a tenth of your income aside on payday. "
        "Cancel subscriptions that you do not use. An emergency fund should last for three months. Pay off the credit "
        "card before you invest.",
        "Begin the class with slow breathing. In the downward dog the heels sink to the floor. Bend your knees if your "
        "back is round. Hold each pose for five breaths. The last ten minutes are for lying still.",
    ),
    "cloud, horse, novel": (
        "A container packs a program with its libraries. The image is built in layers. Push it to a registry and "
        "deploy it from there. Health checks restart what hangs. Logs belong on standard output.",
        "A horse eats little and often. Hay should make up most of its food. The hooves are trimmed every six weeks. "
        "Brush its coat before you saddle it. It rests while standing.",
        "The novel opens with a funeral. Its narrator lies to us from the first page. Each chapter is a letter to her "
        "brother. The island stands for her childhood. Critics praised the quiet ending.",
    ),
    "solar, heart": (
        "Panels on a south roof give the most power. Shade on one panel lowers the whole string. The inverter lasts "
        "for about twelve years. What you do not use goes to the grid. A battery stores it for the evening.",
        "The heart beats about seventy times a minute. Its left chamber pumps blood to the body. Valves stop it from "
        "flowing back. High pressure thickens the muscle. Walking every day keeps the arteries soft. Smoking harms "
        "them most.",
    ),
}
"""Six others, by which the defaults were chosen."""
