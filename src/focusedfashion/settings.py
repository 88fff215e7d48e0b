"""Every limit and default, once, with its unit and its reason."""

# Pictures
MAX_PIXELS = 70_000_000  # of the header; 64-megapixel phones pass, and it decodes to at most 210 MB of RGB
MAX_PICTURE_BYTES = 64 * 2**20  # of the file
WORKING_SIDE = (
    640  # px; the longer side of a decoded picture is reduced by whole factors while it stays at or above this
)
THUMBNAIL_SIDE = 320  # px; the longer side of the thumbnail that a catalog keeps
THUMBNAIL_QUALITY = 82  # JPEG; as close to the pixels as WebP of quality 80, in a tenth of its time
SETTLED_SECONDS = 2  # since a file's last change, to trust its times: the coarsest clock of a file system (FAT)

# Sources
MAX_CELL = 10_000_000  # characters of one CSV row or JSON line; past it the row is broken
MAX_REFERENCE = 4_096  # characters of a picture's path, the limit of Linux; what is longer is no path
PARQUET_ROWS = 16  # of a file that are unpacked at once, at least: each may hold a picture of megabytes
PARQUET_MOST_ROWS = 256  # and at most; more are hardly faster
PARQUET_BYTES = 2**22  # that they take together, if all are of the mean size of their row group
# Bytes of a column that are read ahead. Arrow's default is a row group's whole column, which can be gigabytes of
# pictures.
PARQUET_BUFFER = 2**20

# Feeds
MAX_FEED_BYTES = 16 * 2**30  # of a feed by its URL, which is downloaded into a file
FEED_CHUNK = 2**16  # characters of a feed that are parsed at once
FEED_HEAD = 2**16  # bytes that show what a feed is: its encoding, its first line
MAX_DEPTH = 64  # elements of a feed inside each other; real ones have six
MAX_UNPACKED = 16 * 2**30  # bytes of a compressed table, which is unpacked to disk
HELD_CHARACTERS = 10_000_000  # of a Shopify export's rows that wait for others of their product: ten thousand or so
MAX_PRICE = 200  # characters; longer ones are sentences, and a run of digits gets slow to read

# Fetching
MAX_URL = 8_192  # characters, about what servers take
CONNECT_SECONDS = 10.0  # until a server has taken the connection, for all addresses of its name together
READ_SECONDS = 15.0  # that a server may be silent before or within its answer
FETCH_SECONDS = 60.0  # for one try, redirects and all: a server that trickles would hold its place for days
DOWNLOAD_RATE = 16 * 2**10  # bytes per second on average that a download into a file needs to go on after that
FETCH_TRIES = 4  # of a URL whose trouble may pass: busy, cut off, not reached
LATE_TRIES = 2  # of a URL whose server let us wait in vain: each try costs much
BACKOFF_SECONDS = 0.5  # before the second try, doubled before each further one, cut by chance to a half at least
MAX_RETRY_AFTER = 60.0  # seconds that a server may make us wait; one that asks for more is not asked again in this run
MAX_REDIRECTS = 5  # of one URL; browsers allow 20, honest pictures need 2
HOST_FAILURES = 5  # in a row, with no good answer between, before the host itself counts as in trouble
HOST_PATIENCE = 30.0  # seconds that the URLs of a host in trouble are held back for it
HOST_REST = 60.0  # seconds that a host that is still in trouble then is left alone: its URLs fail at once
CONNECTIONS = 64  # at once, over all hosts
HOST_CONNECTIONS = 16  # at once to one host
SLOW_SECONDS = 0.25  # after which a download, if it takes 8 times as long as usual there, makes room for another
MAX_SLOW = 64  # downloads that have made room, over all hosts; their connections come on top
HOST_SLOW = 48  # and of one host; beyond that the oldest is broken off and tried again behind the others
LATE_SECONDS = 3.0  # that it has then, as long as there are more of its kind; the third time it has all it may need
HOST_LATE = 4  # of those that are tried again at once, while others wait that have not been tried
AHEAD_ENTRIES = 4_096  # of a source that wait for their pictures: behind 4,000 of a slow host come others
AHEAD_BYTES = 256 * 2**20  # of pictures that are here or on their way, besides one of any size and 256 KB of each

# Data sets
JSON_PIECE = 2**20  # characters of a large JSON file that are read at once
MAX_ARRAY = 256 * 2**20  # bytes that a MATLAB file may unpack to; a photo's labels are 5 MB at 8 bytes a pixel

# Web pages and shops
MAX_PAGE_BYTES = 10 * 2**20  # of one web page; real ones have 0.2 to 3 MB, and 10 MB of tags take 400 MB as a tree
MAX_TREE_STEPS = 100_000_000  # of the HTML parser through open tags, at most some seconds; honest pages need 5 million
MAX_TEXT_STEPS = 2_000_000  # through the texts of a page's properties, inside each other maybe; honest ones need 20,000
MAX_TAG_COPIES = 1_000_000  # of unclosed <b> and <font> that it repeats in what follows; each takes 450 bytes
MAX_TAG_ATTRIBUTES = 5_000  # of one tag; the parser compares each with each
MAX_NODES = 100_000  # objects of one page's markup that are looked at
PAGE_PICTURES = 100  # of one product; what goes on beyond that is no gallery
PAGE_PROPERTIES = 40  # columns that one product's further properties may fill
SHOP_PAGES = 5_000  # of one shop; at a pause of a second that is an hour and a half
SHOP_PAUSE = 1.0  # seconds between two requests where robots.txt asks for none
MAX_CRAWL_DELAY = 30.0  # seconds of a crawl-delay; at a longer one a thousand pages would take more than a day
SHOP_FAILURES = 10  # pages in a row that the server does not give, after which the shop is left alone
SHOP_LINKS = 500_000  # of one shop that are kept; 100 bytes or so each
SHOP_BARREN = 300  # pages in a row without a new product, after which no further links are followed
RESUME_SECONDS = 24 * 3_600  # in which a run that was cut off is gone on with; after that all pages are asked for again
FRESH_SECONDS = 7 * 24 * 3_600  # that a page is unchanged because its sitemap says so: some never say otherwise
ROBOTS_BYTES = 500 * 2**10  # of a robots.txt that count, which RFC 9309 asks for
MAX_ROBOTS = 4 * 2**20  # bytes of one that are fetched at all
MAX_SITEMAP_BYTES = 50 * 2**20  # of one sitemap, unpacked: the format's own limit
MAX_SITEMAPS = 1_000  # of one shop; each may have 50,000 pages
SITEMAP_LEVELS = 3  # of indexes inside each other; the format allows one

# Encoders of hubs
CACHE_VARIABLE = "FOCUSEDFASHION_CACHE"  # of the environment; names the folder that converted ones are kept in
# The largest difference of an embedding between the original and what it was converted to, both float32
HUB_TOLERANCE = 1e-3
MAX_GRAPH_BYTES = 2**31 - 1  # of a converted graph: a file of ONNX without further ones cannot be larger
TEXT_LENGTH = 77  # tokens of a text where the configuration names no number: CLIP's

# Indexing
ENCODE_BATCH = 8  # pictures of one run of the network; ONNX Runtime is fastest at 2 to 8 on a CPU
BATCH_ROWS = 128  # new rows that one worker takes at once, at most: with fewer, making their table counts
CHECK_ROWS = 256  # rows that the catalog has, which most likely need no work
BATCH_SECONDS = 0.5  # that a batch is to take, at most
BATCH_BYTES = 2**22  # of the pictures in a batch, where the source hands over bytes; a larger one comes alone
COMMIT_ROWS = 4_096  # rows of one commit: many small commits slow every later read
COMMIT_SECONDS = 5.0  # after which fewer rows are committed too: what a slow run loses when it is killed
STAMPS_PER_ROW = 16  # new stamps of unchanged pictures that count as one row of a commit
MAX_FRAGMENTS = 16  # small pieces of a table; past it they are joined: reading 20 items from 37 takes 15 ms, from one 5
FRAGMENT_ROWS = 65_536  # of a joined piece; a full one is not written again
VECTOR_ROWS = 5_000  # from here on the embeddings have an index; a search of fewer reads them all, in 5 ms
TAIL_ROWS = 2_000  # new rows outside the index, which a search reads one by one; past it they are brought in
INDEX_GROWTH = 1.25  # of a catalog, past which its index is made anew; that takes 17 s at a million rows
READ_ROWS = 256  # that are read at once where all are read, with thumbnails of 10 KB
EMBEDDED_ROWS = 4_096  # that are read at once where all are read, with embeddings of 1 KB
INDEX_ROWS = 50_000  # from here on a lookup by item_id is faster with an index than by a scan
KEEP_VERSIONS = 10  # minutes that a replaced version stays for those who still read it
LEASE_SECONDS = 30.0  # on an object store, after which the turn of a writer that died goes to the next
# For the first word with an object store. Lance's own limits would try for minutes before they say that there is none.
CONTACT = {"connect_timeout": "3s", "timeout": "5s", "client_max_retries": "0"}

# Search
DEFAULT_K = 5
MAX_K = 1_000
MAX_TEXT = 1_000  # characters of a text; encoders read the first sixty words or so
PARTITION_ROWS = 4_096  # of the index's partitions, about; Lance's own number
PROBES = 40  # partitions that a search by all blocks looks into, at least: all of them up to 160,000 rows
CANDIDATES = 6  # for each wanted row; the index chooses them, and they are compared exactly
INDEX_CACHE_BYTES = 2 * 2**30  # of the index, at most, stay in memory; a million items need a tenth
MAX_CONDITIONS = 100  # of a structured filter
MAX_ALTERNATIVES = 1_000  # values of one `in`
MAX_FACETS = 20  # columns of one question
FACET_CACHE = 256  # facets that are remembered until the catalog changes
FACET_VALUES = 100  # of a column, the most frequent ones
PRICE_POOL = 8  # times k: the closest products that a sort by price orders,
MAX_PRICE_POOL = 200  # at most
KNOWN_COLORS = 50_000  # of items that were explained, in memory; 250 bytes each
MAX_WEIGHT = 1_000_000  # of a block; beyond it sums lose their digits

# Server
PORT = 8_000
MAX_BODY_BYTES = 32 * 2**20  # of an uploaded query
MAX_FIELDS = 16  # of a form
MAX_FIELD_BYTES = 64 * 2**10  # of one text field; a long filter has a few hundred
MAX_JSON_DEPTH = 32  # levels of lists and objects; a column may be nested
MAX_UPLOAD_SECONDS = 60  # for a whole body; a stalled upload would keep its place in the queue forever
MAX_WAITING = 64  # requests beyond those that work: a second's work or so
MAX_BODIES_BYTES = 512 * 2**20  # of all bodies that have come and are not yet answered
HELD_SECONDS = 600  # that a picture of POST /v1/images is kept in memory
HELD_BYTES = 256 * 2**20  # of all those pictures; past it the oldest go
HELD_PICTURES = 2_000  # and at most; each keeps what a few boxes of it gave
HELD_LOOKS = 16  # parts of one picture that are remembered
MAX_FAILURES = 1_000  # ledger entries of one answer
COOKIE_SECONDS = 30 * 24 * 3_600  # that a browser keeps the key of a link
PREFLIGHT_SECONDS = 3_600  # that a browser remembers that another site may ask
KEY_SECONDS = 5.0  # after which a server reads the keys again
MAX_KEY_NAME = 64  # characters
REQUESTS_PER_SECOND = 50.0  # of one key, or of one address where no key is needed, from elsewhere,
REQUESTS_AT_ONCE = 200  # after these: a page of results has a picture for each
MAX_VISITORS = 10_000  # whose pace is watched; each is 200 bytes
MAX_CHANGES = 16  # requests that change the catalog and wait
CHANGE_SECONDS = 30.0  # that one waits for its turn and its end
MAX_FEEDBACK = 10_000  # entries that wait to be written
FEEDBACK_SECONDS = 2.0  # between two writings of them
# Seconds after which one thread lets another have its turn; Python's own 5 ms leave a request waiting for the others'.
SWITCH_SECONDS = 0.0005
MAX_OPEN_FILES = 65_536  # connections are files; systems allow 1,024 unless asked
THUMBNAIL_SECONDS = 300  # that a browser shows a thumbnail without asking again
SHUTDOWN_SECONDS = 5  # for the requests that are under way when the server is told to end

# Evaluation
EVALUATION_KS = (1, 5, 10)
EVALUATION_ITEMS = 1_000  # of a catalog that are looked for where no queries are given: an interval of +-3 % at most
EVALUATION_SCORES = 2**24  # of queries with items that are held at once; 64 MB, several times over

# Report
REPORT_PICTURES = 50_000  # that are opened, if there are more: a sample; a minute or two on two cores
REPORT_COLUMNS = 300  # that are looked into; a wide table has a hundred
REPORT_CELLS = 1_000  # filled cells of a column that show how the others are to be read
REPORT_VALUES = 20_000  # different values of a column that are kept; past it they are ids or free text
MAX_LABELS = 5_000  # different values of a label column; DeepFashion's 1,000 attributes are the most so far
LABEL_LENGTH = 40  # characters; a column of longer texts, on the average, holds sentences
FEW_NUMBERS = 20  # different whole numbers that may be labels; more are amounts
RARE_LABEL = 10  # items; below it neither training nor a figure can be trusted
SMALL_SIDE = 96  # px; the shorter side of the built-in encoder's input: smaller pictures are enlarged for it
HASH_BITS = 6  # of 64; pictures whose hashes differ in no more are looked at closely
REPORT_THUMBNAIL = 112  # px; the longer side of a thumbnail in the page, which then has about 3 KB
REPORT_GROUPS = 12  # of copies that the page shows, and pictures of other kinds
REPORT_LISTED = 1_000  # labels of one group in the report

# Studies
STUDY_TEST = 0.2  # of the products, where neither the source nor an encoder says what the test rows are
STUDY_QUERIES = 6  # test rows whose recommendations the page shows
STUDY_PHOTOS = 24  # or of the photos that are given, at most
STUDY_THUMBNAIL = 160  # px; the longer side of a picture in the page, which then has about 5 KB
STUDY_ENGINE_ROWS = 10_000  # that the neighbor engines are compared on, at most; a minute for all of them
STUDY_ENGINE_QUERIES = 100  # and with how many queries

# Clustering
CLUSTERS = 20
CLUSTER_PICTURES = 50_000  # that are clustered, if there are more: a sample; their thumbnails take 150 MB
CLUSTER_RUNS = 10  # of k-means on each encoder's features; with more, hardly anything changes
CLUSTER_NUMBERS = 128  # of each encoder's features, their main components; distances in more are hardly others
CLUSTER_SHOWN = 12  # pictures of each cluster in the page
CLUSTER_LABELS = 3  # of each column and cluster

# Demo
DEMO_ITEMS = 420  # drawn and indexed in well under half a minute on two cores
# CC0; the archive that the repository's host makes of alexeygrigorev/clothing-dataset
DEMO_ARCHIVE = "https://codeload.github.com/alexeygrigorev/clothing-dataset/zip/refs/heads/master"
MAX_ARCHIVE = 4 * 2**30  # bytes of it, packed and unpacked
DEMO_PHOTOS = ("dress", "shirt", "hoodie", "skirt", "sneakers", "handbag")  # one photo of each to search with
