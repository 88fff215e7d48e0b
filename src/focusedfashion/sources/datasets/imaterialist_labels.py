"""The labels of iMaterialist Fashion 2018: 228 in 8 groups.

As its authors publish them: https://github.com/visipedia/imat_fashion_comp (iMat_fashion_2018_label_map_228.csv).
"""

from __future__ import annotations

# Group -> "number name; number name; ...", the names as they are published.
_GROUPS = {
    "category": (
        "3 Athletic Pants; 4 Athletic Sets; 5 Athletic Shirts; 6 Athletic Shorts; 8 Baggy Jeans; 11 Batwing Tops; 12 "
        "Beach & Swim Wear; 15 Bikinis; 16 Binders; 18 Blouses; 21 Bodysuits; 22 Boots; 23 Bra Straps; 26 Bubble "
        "Coats; 27 Business Shoes; 30 Capes & Capelets; 31 Capri Pants; 32 Cardigans; 33 Cargo Pants; 34 Cargo "
        "Shorts; 36 Casual Dresses; 37 Casual Pants; 38 Casual Shirts; 39 Casual Shoes; 40 Casual Shorts; 46 Cleats; "
        "47 Clubbing Dresses; 48 Cocktail Dresses; 51 Corsets; 52 Costumes & Cosplay; 56 Crop Tops; 57 Custom Made "
        "Clothing; 58 Dance Wear; 60 Drawstring Pants; 61 Dress Shirts; 62 Dresses; 64 Fashion Sets; 68 Flats; 71 "
        "Formal Dresses; 80 Halter Tops; 81 Harem Pants; 83 Heels; 86 Hiking Boots; 88 Hoodies & Sweatshirts; 89 "
        "Hosiery, Stockings, Tights; 91 Jackets; 92 Jeans; 93 Jerseys; 94 Jilbaab; 95 Jumpsuits Overalls & Rompers; "
        "96 Kimonos; 100 Leggings; 103 Lingerie Sleepwear & Underwear; 104 Loafers & Slip-on Shoes; 109 Maternity; "
        "114 Nightgowns; 119 Padded Bras; 121 Pajamas; 122 Party Dresses; 123 Pasties; 126 Peacoats; 127 Pencil "
        "Skirts; 129 Petticoats; 136 Polos; 139 Prom Dresses; 141 Pullover Sweaters; 145 Rain Boots; 146 Raincoats; "
        "152 Robes; 156 Running Shoes; 157 Sandals; 160 Sheer Tops; 161 Shoe Accessories; 162 Shoe Inserts; 163 "
        "Shoelaces; 165 Shorts; 169 Skinny Jeans; 170 Skirts; 172 Slippers; 174 Sneakers; 177 Sports Bras; 179 "
        "Stilettos; 183 Suits & Blazers; 185 Sweatpants; 187 Swim Trunks; 188 Swimsuit Cover-ups; 189 Swimsuits; 190 "
        "T-Shirts; 193 Tank Tops; 195 Thermal Underwear; 196 Thigh Highs; 197 Thongs; 198 Three Piece Suits; 200 "
        "Trench Coats; 201 Trousers; 202 Tube Tops; 206 Tutus; 211 Undershirts; 212 Underwear; 213 Uniforms; 217 "
        "Vests; 220 Wedding Dresses; 221 Wedges & Platforms; 223 Winter Boots; 227 Yoga Pants"
    ),
    "color": (
        "14 Beige; 17 Black; 19 Blue; 24 Bronze; 25 Brown; 45 Clear; 77 Gold; 78 Gray; 79 Green; 108 Maroon; 111 "
        "Multi Color; 117 Orange; 125 Peach; 131 Pink; 142 Purple; 148 Red; 168 Silver; 192 Tan; 194 Teal; 222 White; "
        "226 Yellow"
    ),
    "gender": ("66 Female; 106 Male; 113 Neutral"),
    "material": (
        "29 Canvas; 35 Cashmere; 41 Chambray; 44 Chiffon; 50 Corduroy; 53 Cotton; 59 Denim; 65 Faux Fur; 67 Flannel; "
        "69 Fleece; 76 Gingham; 97 Knit; 98 Lace; 99 Leather; 102 Linen; 112 Neoprene; 115 Nylon; 118 Organza; 124 "
        "Patent; 134 Plush; 137 Polyester; 147 Rayon; 158 Satin; 167 Silk; 176 Spandex; 182 Suede; 191 Taffeta; 203 "
        "Tulle; 207 Tweed; 208 Twill; 215 Velour; 216 Velvet; 219 Vinyl; 224 Wool"
    ),
    "neckline": (
        "7 Backless Dresses; 49 Collared; 116 Off The Shoulder; 144 Racerback; 153 Round Neck; 166 Shoulder Drapes; "
        "178 Square Necked; 186 Sweetheart Neckline; 205 Turtlenecks; 210 U-Necks; 214 V-Necks"
    ),
    "pattern": (
        "1 Argyle; 28 Camouflage; 42 Checkered; 43 Chevron; 55 Crochet; 70 Floral; 72 Fringe; 74 Galaxy; 75 "
        "Geometric; 82 Hearts; 84 Herringbone; 90 Houndstooth; 101 Leopard And Cheetah; 107 Marbled; 110 Mesh; 120 "
        "Paisley; 130 Pin Stripes; 132 Plaid; 135 Polka Dot; 143 Quilted; 151 Ripped; 154 Ruched; 155 Ruffles; 159 "
        "Sequins; 173 Snakeskin; 181 Stripes; 199 Tie Dye; 228 Zebra"
    ),
    "sleeve": ("105 Long Sleeved; 140 Puff Sleeves; 164 Short Sleeves; 171 Sleeveless; 180 Strapless"),
    "style": (
        "2 Asymmetric; 9 Bandage; 10 Bandeaus; 13 Beaded; 20 Bodycon; 54 Criss Cross; 63 Embroidered; 73 Furry; 85 "
        "Hi-Lo; 87 Hollow-Out; 128 Peplum; 133 Pleated; 138 Printed; 149 Reversible; 150 Rhinestone Studded; 175 "
        "Spaghetti Straps; 184 Summer; 204 Tunic; 209 Two-Tone; 218 Vintage Retro; 225 Wrap"
    ),
}

GROUPS = tuple(_GROUPS)


def _read_labels() -> dict[int, tuple[str, str]]:
    labels = {}
    for group, text in _GROUPS.items():
        for entry in text.split("; "):
            number, _, name = entry.partition(" ")
            labels[int(number)] = (group, name)
    return labels


# Number -> (group, name).
LABELS = _read_labels()
