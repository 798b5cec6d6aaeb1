/// Why a measurement could not be made: a sentence that says what was wrong and what to do.
struct BenchError: Error, CustomStringConvertible {
  enum Kind: Int32 {
    /// It ran and did not hold what it must.
    case failed = 1
    /// The command line or a file it names is wrong (EX_USAGE).
    case usage = 64
    /// The server is not there (EX_UNAVAILABLE).
    case unavailable = 69
  }

  var kind: Kind
  var description: String

  static func failed(_ text: String) -> BenchError { BenchError(kind: .failed, description: text) }
  static func usage(_ text: String) -> BenchError { BenchError(kind: .usage, description: text) }
  static func unavailable(_ text: String) -> BenchError { BenchError(kind: .unavailable, description: text) }
}
