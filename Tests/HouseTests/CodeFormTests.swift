import Testing

/// What a formatter does not see.
@Suite struct CodeFormTests {
  static let linesMax = 400

  @Test func everyFileCanBeExplained() throws {
    for file in House.files("Sources", ".swift", ".c", ".h") {
      let count = try House.lines(file).count
      #expect(count <= Self.linesMax, "\(file) has \(count) lines: it is two files")
    }
  }

  @Test func everyFileOfTestsCanBeReadToo() throws {
    for file in House.files("Tests", ".swift") {
      let count = try House.lines(file).count
      #expect(count <= 2 * Self.linesMax, "\(file) has \(count) lines")
    }
  }

  @Test func nothingIsLeftForLater() throws {
    // Put together, so that this file has none.
    let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK:", "not " + "implemented yet"]
    for folder in ["Sources", "Tests", "config", "docs", "monitoring", "scripts", "systemd"] {
      for file in House.files(folder, ".swift", ".c", ".h", ".yaml", ".yml", ".md", ".service", "") {
        guard let text = try? House.read(file) else { continue }
        for mark in marks { #expect(!text.contains(mark), "\(file) contains \(mark)") }
      }
    }
  }

  /// A bound without its reason is a number that nobody dares to change.
  @Test func everyBoundHasItsReason() throws {
    var bounds = 0
    for file in House.files("Sources", "Limits.swift") {
      var before: Substring = ""
      for line in try House.lines(file) {
        if line.contains(/^\s*(?:public |package )?static (?:let|var) \w+/) {
          bounds += 1
          #expect(before.contains("///"), "\(file): \(line.drop { $0 == " " })")
        }
        before = line
      }
    }
    #expect(bounds > 100, "the files were found")
  }

  @Test func nothingStopsTheProcessForWhatComesFromOutside() throws {
    for file in House.files("Sources", ".swift") {
      for (number, line) in try House.lines(file).enumerated() {
        let code = line.prefix { $0 != "/" }
        for stop in ["try! ", "fatalError(", " as! "] { #expect(!code.contains(stop), "\(file):\(number + 1)") }
        #expect(!code.contains("catch {}"), "\(file):\(number + 1): an error that nobody hears of")
      }
    }
  }
}
