//! The words of SQL that matter for recognising injected code, over MySQL, PostgreSQL, SQL Server, Oracle and SQLite.

/// What a word means to the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `or`, `and`, `xor`.
    Logic,
    /// `where`, `having`, `when`, `on`: a condition follows, as after `and`.
    Condition,
    /// `not`, `binary` and the like: stands before an operand and changes nothing.
    Prefix,
    /// `like`, `regexp`...: compares two operands.
    Compare,
    /// `in`
    In,
    /// `between`
    Between,
    /// `is`, `isnull`, `notnull`
    Is,
    /// `null`, `true`, `false`, `current_user`: an operand.
    Constant,
    /// `div`, `mod`, `collate`
    Arithmetic,
    /// `union`, `intersect`, `except`, `minus`.
    Union,
    /// `all`, `distinct`, `distinctrow`, `top`.
    Quantifier,
    /// `select`
    Select,
    /// `from`
    From,
    /// `into`
    Into,
    /// `outfile`, `dumpfile`
    File,
    /// `order`, `group`
    Sort,
    /// `by`
    By,
    /// `limit`, `offset`, `fetch`
    Limit,
    /// `as`
    As,
    /// `case`
    Case,
    /// `then`, `else`, `end`: parts of a case or of a block.
    Then,
    /// `if`, `iif`, `while`
    If,
    /// `insert`, `replace`, `merge`
    Insert,
    /// `update`
    Update,
    /// `delete`
    Delete,
    /// `drop`, `create`, `alter`, `truncate`, `grant`, `revoke`
    Define,
    /// `table`, `database`, `user`...: what can be dropped or created.
    Object,
    /// `exec`, `execute`, `call`
    Execute,
    /// `declare`, `prepare`, `print`
    Declare,
    /// `set`
    Set,
    /// `values`
    Values,
    /// `shutdown`
    Shutdown,
    /// `waitfor`
    Waitfor,
    /// `delay`, `time`
    Delay,
    /// `procedure`
    Procedure,
    /// Name of a function that only attacks on SQL use where clients type.
    StrongCall,
    /// Name of a function that SQL has, and other languages or prose may have too.
    SoftCall,
    /// `sleep`: a delay in SQL, and a function of many languages.
    Sleep,
    /// A catalogue: `information_schema`, `sysobjects`, `sqlite_master`...
    Catalogue,
    /// Any other word.
    Plain,
}

/// Longest word that means anything.
const MAX_WORD: usize = 26;

/// The meaning of `word`, without regard to case.
pub fn meaning(word: &[u8]) -> Word {
    if word.len() < 2 || word.len() > MAX_WORD {
        return Word::Plain;
    }
    let mut buffer = [0u8; MAX_WORD];
    let lower = &mut buffer[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let found = clause(lower);
    if found != Word::Plain {
        return found;
    }
    name(lower)
}

fn clause(word: &[u8]) -> Word {
    match word {
        b"or" | b"and" | b"xor" => Word::Logic,
        b"where" | b"having" | b"when" | b"on" => Word::Condition,
        b"not" | b"binary" | b"any" | b"some" | b"exists" => Word::Prefix,
        b"like" | b"rlike" | b"regexp" | b"ilike" | b"glob" | b"sounds" | b"similar" => Word::Compare,
        b"in" => Word::In,
        b"between" => Word::Between,
        b"is" | b"isnull" | b"notnull" => Word::Is,
        b"null" | b"true" | b"false" | b"current_user" | b"session_user" | b"system_user" | b"rownum" | b"sysdate" => {
            Word::Constant
        }
        b"div" | b"mod" | b"collate" => Word::Arithmetic,
        b"union" | b"intersect" | b"except" | b"minus" => Word::Union,
        b"all" | b"distinct" | b"distinctrow" | b"top" => Word::Quantifier,
        b"select" => Word::Select,
        b"from" => Word::From,
        b"into" => Word::Into,
        b"outfile" | b"dumpfile" => Word::File,
        b"order" | b"group" => Word::Sort,
        b"by" => Word::By,
        b"limit" | b"offset" | b"fetch" => Word::Limit,
        b"as" => Word::As,
        b"case" => Word::Case,
        b"then" | b"else" | b"end" => Word::Then,
        b"if" | b"iif" | b"while" => Word::If,
        b"insert" | b"replace" | b"merge" => Word::Insert,
        b"update" => Word::Update,
        b"delete" => Word::Delete,
        b"drop" | b"create" | b"alter" | b"truncate" | b"grant" | b"revoke" => Word::Define,
        b"table" | b"database" | b"schema" | b"user" | b"login" | b"function" | b"trigger" | b"view" | b"index"
        | b"column" | b"role" | b"tables" => Word::Object,
        b"exec" | b"execute" | b"call" => Word::Execute,
        b"declare" | b"prepare" | b"print" => Word::Declare,
        b"set" => Word::Set,
        b"values" => Word::Values,
        b"shutdown" => Word::Shutdown,
        b"waitfor" => Word::Waitfor,
        b"delay" | b"time" => Word::Delay,
        b"procedure" => Word::Procedure,
        b"sleep" => Word::Sleep,
        _ => Word::Plain,
    }
}

fn name(word: &[u8]) -> Word {
    match word {
        b"information_schema"
        | b"sysobjects"
        | b"syscolumns"
        | b"sysusers"
        | b"sqlite_master"
        | b"sqlite_schema"
        | b"pg_catalog"
        | b"pg_tables"
        | b"pg_user"
        | b"pg_shadow"
        | b"pg_database"
        | b"pg_stat_activity"
        | b"all_tables"
        | b"all_users"
        | b"all_tab_columns"
        | b"user_tables"
        | b"user_tab_columns"
        | b"dba_users"
        | b"sysibm"
        | b"syscat"
        | b"sysmaster"
        | b"msysobjects"
        | b"msysaccessobjects"
        | b"dba_tables"
        | b"sysdatabases"
        | b"syslogins"
        | b"domain"
        | b"db2inst1"
        | b"v$version"
        | b"v$instance"
        | b"v$session"
        | b"rdb$database"
        | b"rdb$fields"
        | b"rdb$relations"
        | b"innodb_table_stats" => Word::Catalogue,
        b"pg_sleep"
        | b"benchmark"
        | b"load_file"
        | b"extractvalue"
        | b"updatexml"
        | b"randomblob"
        | b"generate_series"
        | b"regexp_substring"
        | b"crypt_key"
        | b"make_set"
        | b"elt"
        | b"gtid_subset"
        | b"gtid_subtract"
        | b"json_keys"
        | b"json_extract"
        | b"json_depth"
        | b"group_concat"
        | b"concat_ws"
        | b"current_setting"
        | b"sqlite_version"
        | b"lo_import"
        | b"lo_export"
        | b"pg_read_file"
        | b"pg_ls_dir"
        | b"database_to_xml"
        | b"query_to_xml"
        | b"xmltype"
        | b"is_srvrolemember"
        | b"db_name"
        | b"user_name"
        | b"suser_name"
        | b"suser_sname"
        | b"name_const"
        | b"openrowset"
        | b"opendatasource"
        | b"openquery"
        | b"st_latfromgeohash"
        | b"st_longfromgeohash"
        | b"st_pointfromgeohash"
        | b"load_extension"
        | b"xp_cmdshell"
        | b"xp_dirtree"
        | b"xp_regread"
        | b"xp_fileexist"
        | b"sp_executesql"
        | b"sp_oacreate"
        | b"sp_password"
        | b"sp_makewebtask"
        | b"sp_configure"
        | b"sp_addsrvrolemember"
        | b"utl_inaddr"
        | b"utl_http"
        | b"utl_file"
        | b"utl_smtp"
        | b"dbms_pipe"
        | b"dbms_lock"
        | b"dbms_utility"
        | b"dbms_xmlgen"
        | b"dbms_ldap"
        | b"dbms_xmlquery"
        | b"dbms_session"
        | b"dbms_java"
        | b"dbms_scheduler"
        | b"ctxsys"
        | b"httpuritype"
        | b"sys_context"
        | b"sys_eval"
        | b"sys_exec"
        | b"master_pos_wait"
        | b"get_lock"
        | b"wm_concat"
        | b"string_agg"
        | b"array_to_string"
        | b"to_number"
        | b"fn_listextendedproperty"
        | b"analyse"
        | b"connection_id"
        | b"aes_decrypt"
        | b"raise_error"
        | b"quote_literal"
        | b"pg_client_encoding"
        | b"xmlforest"
        | b"listagg"
        | b"bitand"
        | b"convert_from" => Word::StrongCall,
        b"concat" | b"char" | b"chr" | b"ascii" | b"substring" | b"substr" | b"mid" | b"ord" | b"hex" | b"unhex"
        | b"cast" | b"convert" | b"count" | b"floor" | b"rand" | b"version" | b"database" | b"md5" | b"sha1"
        | b"length" | b"len" | b"ifnull" | b"nvl" | b"coalesce" | b"nullif" | b"exp" | b"upper" | b"lower"
        | b"ucase" | b"lcase" | b"left" | b"right" | b"repeat" | b"bin" | b"conv" | b"greatest" | b"least"
        | b"row_count" | b"soundex" | b"instr" | b"locate" | b"strcmp" | b"reverse" | b"decode" | b"encode"
        | b"now" | b"exists" | b"row" | b"abs" | b"pi" | b"sum" | b"avg" | b"min" | b"max" | b"unicode" | b"nchar"
        | b"quote" | b"ltrim" | b"rtrim" | b"trim" | b"space" | b"replicate" | b"stuff" | b"field" | b"position"
        | b"to_char" | b"from_base64" | b"to_base64" | b"uuid" | b"schema" | b"current_database" | b"waitfor" => {
            Word::SoftCall
        }
        _ if word.starts_with(b"sp_")
            || word.starts_with(b"xp_")
            || word.starts_with(b"utl_")
            || word.starts_with(b"dbms_") =>
        {
            Word::StrongCall
        }
        _ => Word::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::{Word, meaning};

    #[test]
    fn words_have_their_meaning_in_any_case() {
        assert_eq!(meaning(b"UnIoN"), Word::Union);
        assert_eq!(meaning(b"PG_SLEEP"), Word::StrongCall);
        assert_eq!(meaning(b"xp_anything"), Word::StrongCall);
        assert_eq!(meaning(b"selected"), Word::Plain);
        assert_eq!(meaning(b"o"), Word::Plain);
        assert_eq!(meaning(&[b'a'; 400]), Word::Plain);
    }
}
