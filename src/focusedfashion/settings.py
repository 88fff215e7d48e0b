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

# Indexing
ENCODE_BATCH = 8  # pictures of one run of the network; ONNX Runtime is fastest at 2 to 8 on a CPU
BATCH_ROWS = 64  # new rows that one worker takes at once: with fewer, making their table counts
CHECK_ROWS = 256  # rows that the catalog has, which most likely need no work
BATCH_BYTES = 2**22  # of the pictures in a batch, where the source hands over bytes; a larger one comes alone
COMMIT_ROWS = 2_048  # rows of one commit: many small commits slow every later read
COMMIT_SECONDS = 5.0  # after which fewer rows are committed too: what a slow run loses when it is killed
STAMPS_PER_ROW = 16  # new stamps of unchanged pictures that count as one row of a commit
MAX_FRAGMENTS = 16  # small pieces of a table; past it they are joined: reading 20 items from 37 takes 15 ms, from one 5
FRAGMENT_ROWS = 65_536  # of a joined piece; a full one is not written again
VECTOR_ROWS = 5_000  # from here on the embeddings have an index; a search of fewer reads them all, in 5 ms
TAIL_ROWS = 2_000  # new rows outside the index, which a search reads one by one; past it they are brought in
INDEX_ROWS = 50_000  # from here on a lookup by item_id is faster with an index than by a scan
KEEP_VERSIONS = 10  # minutes that a replaced version stays for those who still read it
LEASE_SECONDS = 30.0  # on an object store, after which the turn of a writer that died goes to the next
# For the first word with an object store. Lance's own limits would try for minutes before they say that there is none.
CONTACT = {"connect_timeout": "3s", "timeout": "5s", "client_max_retries": "0"}

# Search
DEFAULT_K = 5
MAX_K = 1_000
PARTITION_ROWS = 4_096  # of the index's partitions, about; Lance's own number
PROBES = 80  # partitions that a search looks into, at least: all of them up to 300,000 rows
CANDIDATES = 5  # for each wanted row; the index chooses them, and they are compared exactly
INDEX_CACHE_BYTES = 2 * 2**30  # of the index, at most, stay in memory; a million items need a tenth
MAX_WEIGHT = 1_000_000  # of a block; beyond it sums lose their digits

# Server
PORT = 8_000
MAX_BODY_BYTES = 32 * 2**20  # of an uploaded query
MAX_FIELDS = 16  # of a form
MAX_FIELD_BYTES = 64 * 2**10  # of one text field; a long filter has a few hundred
MAX_UPLOAD_SECONDS = 60  # for a whole body; a stalled upload would keep its place in the queue forever
MAX_WAITING = 32  # requests beyond those that work; each may hold an upload of MAX_BODY_BYTES in memory
THUMBNAIL_SECONDS = 300  # that a browser shows a thumbnail without asking again
SHUTDOWN_SECONDS = 5  # for the requests that are under way when the server is told to end

# Demo
DEMO_ITEMS = 420  # drawn and indexed in well under half a minute on two cores
DEMO_PHOTOS = ("dress", "shirt", "hoodie", "skirt", "sneakers", "handbag")  # one photo of each to search with
