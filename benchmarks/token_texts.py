"""Answers in several languages and notations, two of each, written for `benchmarks.tokens`."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "English": (
        (
            "Your parcel left the warehouse in Porto on Tuesday morning and should reach Lisbon by Thursday. If"
            " nobody is at home, the driver will leave a note with the address of the nearest shop, where you can"
            " collect it within seven days. You don't need to pay anything: the sender has covered the customs"
            " duties."
        ),
        (
            "To keep basil alive through the winter, put the pot on a bright window sill, water it from below, and"
            " cut the tips every week so that it grows bushy. It dislikes cold draughts and wet feet. When the leaves"
            " turn pale, a little liquid fertiliser helps; when they turn black, it's usually too late."
        ),
    ),
    "German": (
        (
            "Ihr Paket hat das Lager in Porto am Dienstagmorgen verlassen und sollte Lissabon bis Donnerstag"
            " erreichen. Falls niemand zu Hause ist, hinterlässt der Fahrer eine Benachrichtigung mit der Adresse des"
            " nächstgelegenen Geschäfts, wo Sie es innerhalb von sieben Tagen abholen können. Zollgebühren hat der"
            " Absender übernommen."
        ),
        (
            "Damit Basilikum den Winter übersteht, stellt man den Topf auf eine helle Fensterbank, gießt von unten"
            " und schneidet jede Woche die Spitzen, so wächst er buschig. Kalte Zugluft und Staunässe verträgt er"
            " schlecht. Werden die Blätter blass, hilft etwas Flüssigdünger; werden sie schwarz, ist es meistens zu"
            " spät."
        ),
    ),
    "French": (
        (
            "Votre colis a quitté l'entrepôt de Porto mardi matin et devrait arriver à Lisbonne jeudi. Si personne"
            " n'est à la maison, le livreur laissera un avis avec l'adresse du magasin le plus proche, où vous"
            " pourrez le retirer sous sept jours. Vous n'avez rien à payer : l'expéditeur a réglé les droits de"
            " douane."
        ),
        (
            "Pour que le basilic passe l'hiver, posez le pot sur un rebord de fenêtre lumineux, arrosez-le par le bas"
            " et coupez les pointes chaque semaine afin qu'il reste touffu. Il n'aime ni les courants d'air froids ni"
            " l'eau stagnante. Si les feuilles pâlissent, un peu d'engrais liquide aide."
        ),
    ),
    "Spanish": (
        (
            "Su paquete salió del almacén de Oporto el martes por la mañana y debería llegar a Lisboa el jueves. Si"
            " no hay nadie en casa, el repartidor dejará un aviso con la dirección de la tienda más cercana, donde"
            " podrá recogerlo en un plazo de siete días. No tiene que pagar nada."
        ),
        (
            "Para que la albahaca sobreviva al invierno, coloque la maceta en un alféizar luminoso, riéguela desde"
            " abajo y corte las puntas cada semana para que crezca frondosa. No le gustan las corrientes frías ni el"
            " exceso de agua. Si las hojas palidecen, ayuda un poco de abono líquido."
        ),
    ),
    "Russian": (
        (
            "Ваша посылка покинула склад в Порту во вторник утром и должна прибыть в Лиссабон к четвергу. Если дома"
            " никого не будет, курьер оставит извещение с адресом ближайшего магазина, где её можно забрать в течение"
            " семи дней. Платить ничего не нужно: таможенные пошлины оплатил отправитель."
        ),
        (
            "Чтобы базилик пережил зиму, поставьте горшок на светлый подоконник, поливайте снизу и каждую неделю"
            " срезайте верхушки, тогда он будет пышным. Он не любит холодных сквозняков и застоя воды. Если листья"
            " бледнеют, помогает немного жидкого удобрения."
        ),
    ),
    "Greek": (
        (
            "Το δέμα σας έφυγε από την αποθήκη στο Πόρτο την Τρίτη το πρωί και αναμένεται να φτάσει στη Λισαβόνα την"
            " Πέμπτη. Αν δεν είναι κανείς στο σπίτι, ο οδηγός θα αφήσει ένα σημείωμα με τη διεύθυνση του πλησιέστερου"
            " καταστήματος."
        ),
        (
            "Για να αντέξει ο βασιλικός τον χειμώνα, βάλτε τη γλάστρα σε φωτεινό περβάζι, ποτίστε από κάτω και κόβετε"
            " τις κορυφές κάθε εβδομάδα. Δεν του αρέσουν τα κρύα ρεύματα και το στάσιμο νερό."
        ),
    ),
    "Arabic": (
        (
            "غادر طردك المستودع في بورتو صباح الثلاثاء ومن المتوقع أن يصل إلى لشبونة يوم الخميس. إذا لم يكن أحد في"
            " المنزل، فسيترك السائق إشعارًا بعنوان أقرب متجر، حيث يمكنك استلامه خلال سبعة أيام."
        ),
        (
            "لكي يعيش الريحان طوال الشتاء، ضع الأصيص على حافة نافذة مضيئة، واسقه من الأسفل، وقص أطرافه كل أسبوع حتى"
            " ينمو كثيفًا. إنه لا يحب التيارات الباردة ولا الماء الراكد."
        ),
    ),
    "Hindi": (
        (
            "आपका पार्सल मंगलवार की सुबह पोर्टो के गोदाम से निकल गया और गुरुवार तक लिस्बन पहुँच जाना चाहिए। यदि घर पर"
            " कोई नहीं है, तो चालक निकटतम दुकान के पते के साथ एक सूचना छोड़ देगा, जहाँ से आप सात दिनों के भीतर उसे ले"
            " सकते हैं।"
        ),
        (
            "तुलसी को सर्दियों में जीवित रखने के लिए गमले को रोशनी वाली खिड़की पर रखें, नीचे से पानी दें और हर हफ्ते"
            " सिरे काटें ताकि वह घनी हो। उसे ठंडी हवा और रुका हुआ पानी पसंद नहीं है।"
        ),
    ),
    "Thai": (
        (
            "พัสดุของคุณออกจากคลังสินค้าในปอร์โตเมื่อเช้าวันอังคาร และน่าจะถึงลิสบอนภายในวันพฤหัสบดี"
            " หากไม่มีใครอยู่บ้าน คนขับจะทิ้งใบแจ้งพร้อมที่อยู่ของร้านที่ใกล้ที่สุดไว้ให้"
        ),
        (
            "หากต้องการให้โหระพารอดพ้นฤดูหนาว ให้วางกระถางไว้ที่ขอบหน้าต่างที่มีแสงสว่าง รดน้ำจากด้านล่าง"
            " และตัดยอดทุกสัปดาห์ มันไม่ชอบลมเย็นและน้ำขัง"
        ),
    ),
    "Chinese": (
        (
            "您的包裹星期二早上离开了波尔图的仓库，预计星期四到达里斯本。如果家里没有人，司机"
            "会留下一张通知单，上面写着最近的商店的地址，您可以在七天之内去那里领取。您不需要"
            "支付任何费用，关税已由寄件人承担。"
        ),
        (
            "要让罗勒安全过冬，请把花盆放在明亮的窗台上，从底部浇水，每周修剪一次顶端，这样它"
            "就会长得茂密。它不喜欢冷风和积水。如果叶子变淡，可以加一点液体肥料；如果叶子变黑，通常就太晚了。"
        ),
    ),
    "Japanese": (
        (
            "お荷物は火曜日の朝にポルトの倉庫を出発し、木曜日までにリスボンに到着する予定です"
            "。ご不在の場合、配達員が最寄りの店舗の住所を記した通知を残しますので、七日以内に"
            "そちらでお受け取りください。関税は差出人が支払い済みです。"
        ),
        (
            "バジルを冬越しさせるには、鉢を明るい窓辺に置き、下から水を与え、毎週先端を摘み取"
            "ると、こんもりと茂ります。冷たいすきま風と水のやりすぎを嫌います。葉の色が薄くな"
            "ったら、液体肥料を少し与えるとよいでしょう。"
        ),
    ),
    "Korean": (
        (
            "고객님의 소포는 화요일 아침에 포르투의 창고를 떠났으며 목요일까지 리스본에 도착할 예정입니다. 집에"
            " 아무도 없으면 기사가 가장 가까운 가게의 주소가 적힌 안내문을 남기며, 그곳에서 칠 일 안에 찾으실 수"
            " 있습니다."
        ),
        (
            "바질이 겨울을 나게 하려면 화분을 밝은 창가에 두고 아래에서 물을 주며 매주 끝을 잘라 무성하게 자라게"
            " 하세요. 찬바람과 고인 물을 싫어합니다. 잎이 옅어지면 액체 비료를 조금 주면 도움이 됩니다."
        ),
    ),
    "Python": (
        (
            'def total(prices: dict[str, float], chosen: list[str]) -> float:\n    """The sum of what was'
            ' chosen."""\n    amount = 0.0\n    for name in chosen:\n        if name not in prices:'
            '\n            raise KeyError(f"no price for {name!r}")\n        amount += prices[name]\n    return'
            " round(amount, 2)\n"
        ),
        (
            'import asyncio\n\n\nasync def main():\n    async with open_store("memory.db") as store:\n        rows'
            ' = await store.query("SELECT id, text FROM messages WHERE space = ?", (SPACE,))\n        for row in'
            ' rows:\n            print(row["id"], len(row["text"]))\n\n\nasyncio.run(main())\n'
        ),
    ),
    "JSON": (
        (
            '{"order": {"id": "A-1029", "items": [{"sku": "BK-77", "count": 2, "price": 19.9},'
            ' {"sku": "PN-03", "count": 1, "price": 4.5}], "paid": true, "shipped_at":'
            ' "2026-11-24T08:15:00Z", "to": {"city": "Lisbon", "zip": "1100-148"}}}'
        ),
        (
            '{"results": [{"name": "basil", "score": 0.9312, "tags": ["herb", "green"]}, {"name":'
            ' "mint", "score": 0.8127, "tags": []}], "total": 2, "next": null, "took_ms": 14.25}'
        ),
    ),
    "Markdown": (
        (
            "## Delivery\n\n| step | when | where |\n|---|---|---|\n| left | Tuesday, 08:15 | Porto |\n| sorted |"
            " Wednesday, 02:40 | Coimbra |\n| due | Thursday | Lisbon |\n\n* **Nobody at home?** The driver leaves a"
            " note.\n* Pay nothing: duties are *included*.\n"
        ),
        (
            "## Basil in winter\n\n1. Put it on a **bright** sill.\n2. Water from below, about 100 ml every 3 days."
            "\n3. Cut the tips weekly.\n\n> It dislikes draughts.\n\nSee [the"
            " guide](https://example.org/basil#winter) for more.\n"
        ),
    ),
}
"""By language: two texts."""
