//! What a target asks of one variable, with the values to try and the boxes that accept them, worked out once.

use std::borrow::Cow;
use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};

use crate::bits::Bits;
use crate::index::Index;
use crate::kind::Kind;
use crate::limit::Limit;
use crate::value::Value;
use crate::values::{Against, Values};
use crate::vocabulary::{Column, ColumnId, VariableId, Vocabulary};

/// The place of a prepared column.
pub(crate) type PreparedId = usize;

/// A value with the boxes that accept it; nothing when no box looks at the variable.
pub(crate) type Candidate = (Value, Option<Rc<Bits>>);
/// Values to try, those that the fewest boxes accept first.
pub(crate) type Choices = Vec<Candidate>;

/// Bytes that remembered choices may take.
const ROOM: usize = 128 << 20;
/// Numbers are tried at the borders of all boxes up to so many tests, and of the living ones beyond.
const FEW_BORDERS: usize = 64;

/// The columns of targets against one union of boxes.
pub(crate) struct Prepared<'a> {
    pub index: Index,
    /// What is asked of the variables that a target does not mention: nothing.
    pub free: Vec<(VariableId, PreparedId)>,
    vocabulary: &'a Vocabulary,
    values: Values,
    columns: Vec<Entry<'a>>,
    ids: HashMap<Column, PreparedId>,
    /// Columns of boxes as they are.
    own: Vec<Option<PreparedId>>,
    /// Columns of boxes joined with what a kind of requests asks.
    of_kind: HashMap<(ColumnId, usize), PreparedId>,
    room: usize,
}

struct Entry<'a> {
    column: Cow<'a, Column>,
    /// What to try while no living box refuses a test of the variable. Of many numbers only the one that the fewest boxes
    /// accept.
    plain: Option<Rc<Choices>>,
    takes_nothing: Option<bool>,
}

impl<'a> Prepared<'a> {
    pub fn new(index: Index, vocabulary: &'a Vocabulary) -> Prepared<'a> {
        let mut prepared = Prepared {
            index,
            free: Vec::new(),
            vocabulary,
            values: Values::default(),
            columns: Vec::new(),
            ids: HashMap::new(),
            own: vec![None; vocabulary.columns().len()],
            of_kind: HashMap::new(),
            room: ROOM,
        };
        let variables: Vec<VariableId> = prepared.index.variables().collect();
        for variable in variables {
            let id = prepared.add(Column::free(variable));
            prepared.free.push((variable, id));
        }
        prepared
    }

    /// The languages of all searches through texts so far.
    #[cfg(test)]
    pub fn languages(&self) -> usize {
        self.values.languages()
    }

    pub fn add(&mut self, column: Column) -> PreparedId {
        if let Some(id) = self.ids.get(&column) {
            return *id;
        }
        let id = self.push(Cow::Owned(column.clone()));
        self.ids.insert(column, id);
        id
    }

    fn push(&mut self, column: Cow<'a, Column>) -> PreparedId {
        self.columns.push(Entry { column, plain: None, takes_nothing: None });
        self.columns.len() - 1
    }

    /// A column of a box, joined with what a kind of requests asks of its variable.
    pub fn add_of_kind(&mut self, column: ColumnId, kind: usize, of_kind: Option<&Column>) -> PreparedId {
        let vocabulary = self.vocabulary;
        let Some(more) = of_kind else {
            if let Some(id) = self.own[column] {
                return id;
            }
            let id = self.push(Cow::Borrowed(vocabulary.column(column)));
            self.own[column] = Some(id);
            return id;
        };
        if let Some(id) = self.of_kind.get(&(column, kind)) {
            return *id;
        }
        let id = self.push(Cow::Owned(vocabulary.column(column).and(more)));
        self.of_kind.insert((column, kind), id);
        id
    }

    pub fn column(&self, id: PreparedId) -> &Column {
        &self.columns[id].column
    }

    /// Whether no value meets the column.
    pub fn takes_nothing(&mut self, id: PreparedId) -> Result<bool, Limit> {
        if let Some(known) = self.columns[id].takes_nothing {
            return Ok(known);
        }
        let variable = self.columns[id].column.variable;
        let found = match self.vocabulary.kinds[variable] {
            // What is found is tried later.
            Kind::Parts { .. } | Kind::Lines(_) => self.remembered(id, usize::MAX)?.is_empty(),
            Kind::Numbers(_) | Kind::Words(_) => {
                let nothing = Bits::none(self.index.cubes.len());
                let against = Against { vocabulary: self.vocabulary, index: &self.index, alive: &nothing };
                self.values.of(&self.columns[id].column, against)?.is_empty()
            }
        };
        self.columns[id].takes_nothing = Some(found);
        Ok(found)
    }

    /// An estimate of how many values there are to try.
    pub fn width(&mut self, id: PreparedId) -> Result<usize, Limit> {
        let column = &self.columns[id].column;
        let grows = matches!(self.vocabulary.kinds[column.variable], Kind::Numbers(_) | Kind::Words(_));
        if let Some(plain) = self.columns[id].plain.as_ref().filter(|_| !grows) {
            return Ok(plain.len());
        }
        let own: usize = column.any_of.iter().map(Vec::len).product();
        Ok(match self.vocabulary.kinds[column.variable] {
            Kind::Numbers(_) | Kind::Words(_) => own.saturating_add(2),
            _ => own,
        })
    }

    /// Some value that the column takes, with the boxes that accept it; nothing when there is none.
    pub fn some(&mut self, id: PreparedId) -> Result<Option<Candidate>, Limit> {
        let nothing = Bits::none(self.index.cubes.len());
        Ok(self.against(id, &nothing)?.first().cloned())
    }

    /// The values to try against the living boxes.
    pub fn against(&mut self, id: PreparedId, alive: &Bits) -> Result<Rc<Choices>, Limit> {
        let variable = self.columns[id].column.variable;
        let is_enough = match &self.vocabulary.kinds[variable] {
            Kind::Numbers(_) => self.index.tests_of(variable) <= FEW_BORDERS,
            // Languages that living boxes want lead to values too.
            Kind::Words(_) => false,
            _ => !self.index.refuses(variable, alive),
        };
        if is_enough {
            return self.plain(id);
        }
        // A value that no living box with a test of the variable accepts beats all others: then no more are sought.
        if let Ok(known) = self.plain(id) {
            match known.iter().find(|candidate| self.is_least(variable, candidate, alive)) {
                Some(_) if known.len() == 1 => return Ok(known),
                Some(least) => return Ok(Rc::new(vec![least.clone()])),
                None if known.is_empty() => return Ok(known),
                None => {}
            }
        }
        self.choices(id, alive).map(Rc::new)
    }

    /// A value of the column that only boxes accept which ask nothing of the variable.
    ///
    /// # Errors
    /// A limit was hit.
    pub fn dodge(&mut self, id: PreparedId) -> Result<Option<Value>, Limit> {
        let known = self.plain(id)?;
        let variable = self.columns[id].column.variable;
        let all = &self.index.all;
        let least = known.iter().find(|candidate| self.is_least(variable, candidate, all));
        Ok(least.map(|(value, _)| value.clone()))
    }

    /// What to try while no living box refuses a test of the variable.
    fn plain(&mut self, id: PreparedId) -> Result<Rc<Choices>, Limit> {
        let variable = self.columns[id].column.variable;
        let is_number = matches!(self.vocabulary.kinds[variable], Kind::Numbers(_));
        let most = if is_number && self.index.tests_of(variable) > FEW_BORDERS { 1 } else { usize::MAX };
        self.remembered(id, most)
    }

    /// Whether only living boxes that ask nothing of the variable accept the value.
    fn is_least(&self, variable: VariableId, (_, accepting): &Candidate, alive: &Bits) -> bool {
        match (accepting, self.index.free(variable)) {
            (Some(accepting), Some(free)) => alive.and(accepting).is_subset(free),
            _ => true,
        }
    }

    /// The choices against all boxes, or against none for texts, the first `most` of them.
    fn remembered(&mut self, id: PreparedId, most: usize) -> Result<Rc<Choices>, Limit> {
        if let Some(known) = &self.columns[id].plain {
            return Ok(Rc::clone(known));
        }
        let bound = self.index.cubes.len();
        let is_number = matches!(self.vocabulary.kinds[self.columns[id].column.variable], Kind::Numbers(_));
        let alive = if is_number { Bits::all(bound) } else { Bits::none(bound) };
        let mut found = self.choices(id, &alive)?;
        found.truncate(most);
        let found = Rc::new(found);
        let size = found.len() * (bound / 8 + 64);
        if self.room < size {
            self.columns.iter_mut().for_each(|entry| entry.plain = None);
            self.room = ROOM;
        }
        self.room = self.room.saturating_sub(size);
        self.columns[id].plain = Some(Rc::clone(&found));
        Ok(found)
    }

    fn choices(&mut self, id: PreparedId, alive: &Bits) -> Result<Choices, Limit> {
        let column = &self.columns[id].column;
        let against = Against { vocabulary: self.vocabulary, index: &self.index, alive };
        let values = self.values.of(column, against)?;
        let mut choices: Choices = Vec::with_capacity(values.len());
        for value in values {
            let accepting = self.index.accepting(column.variable, &value, self.vocabulary);
            choices.push((value, accepting));
        }
        if choices.len() > 1 {
            choices.sort_by_cached_key(|(_, accepting)| accepting.as_ref().map_or(0, |boxes| boxes.len()));
        }
        Ok(choices)
    }
}
