"""Every limit and default, once, with its unit and its reason."""

# Pictures
MAX_PIXELS = 70_000_000  # of the header; 64-megapixel phones pass, and it decodes to at most 210 MB of RGB
MAX_PICTURE_BYTES = 64 * 2**20  # of the file
WORKING_SIDE = (
    640  # px; the longer side of a decoded picture is reduced by whole factors while it stays at or above this
)
THUMBNAIL_SIDE = 320  # px; the longer side of the thumbnail that a catalog keeps
THUMBNAIL_QUALITY = 80  # WebP

# Sources
MAX_CELL = 10_000_000  # characters of one CSV row or JSON line; past it the row is broken
MAX_REFERENCE = 4_096  # characters of a picture's path, the limit of Linux; what is longer is no path
PARQUET_ROWS = 16  # of a file that are unpacked at once: each may hold a picture of megabytes
# Bytes of a column that are read ahead. Arrow's default is a row group's whole column, which can be gigabytes of
# pictures.
PARQUET_BUFFER = 2**20

# Indexing
ENCODE_BATCH = 8  # pictures that one worker takes at once; ONNX Runtime is fastest at 2 to 8 on a CPU
COMMIT_ROWS = 1_024  # rows of one commit: many small commits slow every later read
MAX_FRAGMENTS = 64  # pieces of a table; past it they are joined: 100 slow a lookup from 5 to 30 ms, a search hardly
FRAGMENT_ROWS = 65_536  # of a joined piece; a full one is not written again
INDEX_ROWS = 50_000  # from here on a lookup by item_id is faster with an index than by a scan
KEEP_VERSIONS = 10  # minutes that a replaced version stays for those who still read it

# Search
DEFAULT_K = 5
MAX_K = 1_000
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
