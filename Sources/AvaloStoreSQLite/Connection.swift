import AvaloStore
import GRDBSQLite

/// One connection to one file, used by one thread at a time. Thin on purpose: on the way of an event every layer
/// above the C interface costs more than the insert itself.
final class Connection {
  let path: String
  private let handle: OpaquePointer
  private var isClosed = false

  /// - Parameter readOnly: refuses writes, and never creates the file.
  init(path: String, readOnly: Bool = false) throws(LogError) {
    self.path = path
    var opened: OpaquePointer?
    let flags =
      (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX
    let code = sqlite3_open_v2(path, &opened, flags, nil)
    guard code == SQLITE_OK, let opened else {
      let detail = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(opened)
      throw .unavailable("\(path): \(detail)")
    }
    handle = opened
    sqlite3_extended_result_codes(handle, 1)
    sqlite3_busy_timeout(handle, SQLiteLimits.busyMilliseconds)
  }

  deinit { close() }

  /// Lets go of the file: at once without statements, with the last of them otherwise. Nothing may be done after.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    sqlite3_close_v2(handle)
  }

  func execute(_ sql: String) throws(LogError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code) }
  }

  func prepare(_ sql: String) throws(LogError) -> Statement {
    var pointer: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
    guard code == SQLITE_OK, let pointer else { throw error(code) }
    return Statement(pointer, of: self)
  }

  /// The first column of the first row.
  func integer(_ sql: String) throws(LogError) -> Int64 {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.integer(0) : 0
  }

  /// The same, of a text.
  func text(_ sql: String) throws(LogError) -> String {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.text(0) : ""
  }

  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Copies what it can of the write-ahead log into the file, waiting for nobody.
  func checkpoint() throws(LogError) -> (frames: Int, copied: Int) {
    var frames: Int32 = 0
    var copied: Int32 = 0
    let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied)
    guard code == SQLITE_OK || code == SQLITE_BUSY else { throw error(code) }
    return (max(0, Int(frames)), max(0, Int(copied)))
  }

  func error(_ code: Int32) -> LogError {
    let detail = "\(path): \(String(cString: sqlite3_errmsg(handle))) (\(code))"
    switch code & 0xff {
    case SQLITE_FULL: return .full(detail)
    case SQLITE_CORRUPT, SQLITE_NOTADB: return .corrupt(path: path, detail: String(cString: sqlite3_errmsg(handle)))
    default: return .unavailable(detail)
    }
  }
}

/// A prepared statement, kept for as long as its connection is used.
final class Statement {
  private let pointer: OpaquePointer
  private let connection: Connection

  fileprivate init(_ pointer: OpaquePointer, of connection: Connection) {
    self.pointer = pointer
    self.connection = connection
  }
  deinit { sqlite3_finalize(pointer) }

  @discardableResult func bind(_ index: Int32, _ value: Int64) -> Statement {
    sqlite3_bind_int64(pointer, index, value)
    return self
  }
  @discardableResult func bind(_ index: Int32, _ value: Int64?) -> Statement {
    guard let value else {
      sqlite3_bind_null(pointer, index)
      return self
    }
    return bind(index, value)
  }
  @discardableResult func bind(_ index: Int32, _ value: UInt64) -> Statement {
    bind(index, Int64(bitPattern: value))
  }
  @discardableResult func bind(_ index: Int32, _ text: String) -> Statement {
    var text = text
    text.withUTF8 {
      // A copy is made: the text need not outlive this call.
      _ = sqlite3_bind_text(
        pointer, index, $0.baseAddress, Int32($0.count), unsafeBitCast(-1, to: sqlite3_destructor_type.self))
    }
    return self
  }

  /// Whether there is a row; after the last one the statement is ready to be bound anew.
  func step() throws(LogError) -> Bool {
    let code = sqlite3_step(pointer)
    if code == SQLITE_ROW { return true }
    sqlite3_reset(pointer)
    guard code == SQLITE_DONE else { throw connection.error(code) }
    return false
  }

  /// Runs a statement that gives no rows.
  func run() throws(LogError) { _ = try step() }

  /// Runs a statement that gives no rows, with a blob that is not copied. `false` when a row like it exists.
  func run(blob index: Int32, _ bytes: [UInt8]) throws(LogError) -> Bool {
    let code = bytes.withUnsafeBytes { bytes in
      sqlite3_bind_blob64(pointer, index, bytes.baseAddress, UInt64(bytes.count), nil)
      let code = sqlite3_step(pointer)
      sqlite3_reset(pointer)
      sqlite3_bind_null(pointer, index)
      return code
    }
    if code == SQLITE_DONE { return true }
    guard code & 0xff == SQLITE_CONSTRAINT else { throw connection.error(code) }
    return false
  }

  /// Ends a statement before its last row.
  func reset() { sqlite3_reset(pointer) }

  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(pointer, column) }
  func unsigned(_ column: Int32) -> UInt64 { UInt64(bitPattern: sqlite3_column_int64(pointer, column)) }
  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(pointer, column) == SQLITE_NULL }
  func text(_ column: Int32) -> String { sqlite3_column_text(pointer, column).map { String(cString: $0) } ?? "" }
  func blob(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(pointer, column) else { return [] }
    return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(pointer, column))))
  }
}
