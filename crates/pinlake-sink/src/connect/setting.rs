//! What a setting is, as Connect describes its settings to those who configure it.

/// A setting's definition.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Type,
    /// Its value where none is given.
    pub default: Fallback,
    /// What is asked of a value beside its type.
    pub(super) check: Check,
    /// How much it matters.
    pub importance: Importance,
    /// What it is for.
    pub documentation: &'static str,
    /// How wide a field for it is.
    pub width: Width,
    /// What it is called for people.
    pub display_name: &'static str,
    /// Settings that matter or do not, by this one's value.
    pub dependents: &'static [&'static str],
    /// Values to offer.
    pub recommended: &'static [&'static str],
    /// Why a value other than the default is refused, if it is.
    pub(super) refusal: Option<&'static str>,
}

/// Settings that are shown together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What the group is called.
    pub name: &'static str,
    /// Its settings in their order.
    pub settings: &'static [Setting],
}

/// What a setting's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// Texts between commas.
    List,
    /// The name of a class.
    Class,
    /// Text that is not shown.
    Password,
}

/// A setting's value where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// One must be given.
    Required,
    /// There is none.
    Null,
    /// This one.
    Is(&'static str),
}

/// What is asked of a value beside its type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    Nothing,
    /// A number not below.
    AtLeast(i64),
    /// A number from one to the other, both included.
    Between(i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, also in capitals or small letters.
    OneOfAnyCase(&'static [&'static str]),
    /// A text that is neither empty nor too long and has no control characters.
    Name,
    /// An AWS region's name.
    Region,
    /// A time zone's name, or nothing.
    Zone,
    /// The names of classes that may stand here; without their packages too.
    Class(&'static [&'static str]),
}

/// How much a setting matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Look at it.
    High,
    /// Look at it once.
    Medium,
    /// Leave it.
    Low,
}

/// How wide a field for a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Unsaid.
    None,
    /// A number.
    Short,
    /// A word.
    Medium,
    /// A sentence.
    Long,
}

impl Type {
    /// Connect's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

impl Importance {
    /// Connect's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

impl Width {
    /// Connect's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
}

/// A setting that must be given, of low importance; the methods below say what is different.
pub(super) const fn setting(name: &'static str, kind: Type, display_name: &'static str, documentation: &'static str) -> Setting {
    Setting {
        name,
        kind,
        default: Fallback::Required,
        check: Check::Nothing,
        importance: Importance::Low,
        documentation,
        width: Width::Long,
        display_name,
        dependents: &[],
        recommended: &[],
        refusal: None,
    }
}

impl Setting {
    /// What stands where nothing is given.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Fallback::Is(default), ..self }
    }

    /// Nothing stands where nothing is given.
    pub(super) const fn or_null(self) -> Self {
        Self { default: Fallback::Null, ..self }
    }

    pub(super) const fn high(self) -> Self {
        Self { importance: Importance::High, ..self }
    }

    pub(super) const fn medium(self) -> Self {
        Self { importance: Importance::Medium, ..self }
    }

    pub(super) const fn checked(self, check: Check) -> Self {
        // What may stand there is what is offered.
        let recommended = match check {
            Check::OneOf(values) | Check::OneOfAnyCase(values) | Check::Class(values) => values,
            _ => &[],
        };
        Self { check, recommended, ..self }
    }

    pub(super) const fn wide(self, width: Width) -> Self {
        Self { width, ..self }
    }

    pub(super) const fn over(self, dependents: &'static [&'static str]) -> Self {
        Self { dependents, ..self }
    }

    /// A value other than the default is refused, for that reason.
    pub(super) const fn refused(self, why: &'static str) -> Self {
        Self { refusal: Some(why), ..self }
    }
}
